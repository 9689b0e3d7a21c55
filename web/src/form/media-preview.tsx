import { useState } from "react";
import { ours } from "../links";
import { useMe } from "../queries";

const LONGEST = 120;

interface Props {
  url: string;
  kind: string;
  alt?: string;
}

/** What was chosen: a picture on a checkerboard, a clip, or the name. An address elsewhere is only named. */
export function MediaPreview({ url, kind, alt = "The chosen picture" }: Props) {
  const me = useMe();
  const [broken, setBroken] = useState<string | null>(null);
  const src = ours(url, me.data?.public_url);

  if (src && broken !== src) {
    if (kind === "image" || kind === "images") {
      return (
        <span className="checkerboard grid h-52 place-items-center p-3">
          <img src={src} alt={alt} onError={() => setBroken(src)} className="max-h-46 max-w-full object-contain" />
        </span>
      );
    }
    if (kind === "video") return <video src={src} controls muted className="max-h-56 w-full bg-black" />;
    if (kind === "audio") return <audio src={src} controls className="w-full p-3" />;
  }
  return (
    <span className="block px-4 py-6 text-center text-sm text-soft">
      <span className="block font-medium wrap-anywhere text-ink">{url.slice(0, LONGEST)}</span>
      {!src && "The server fetches it when the run starts."}
    </span>
  );
}
