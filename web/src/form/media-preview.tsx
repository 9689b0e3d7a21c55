import { useState } from "react";
import { useMedia } from "./use-media";

interface Props {
  value: string;
  kind: string;
  alt?: string;
}

/** What was chosen: a picture on a checkerboard, a clip, or the name. An address elsewhere is only named. */
export function MediaPreview({ value, kind, alt = "The chosen picture" }: Props) {
  const { src, caption, stored } = useMedia(value);
  const [broken, setBroken] = useState<string | null>(null);

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
    <span className="grid h-28 place-content-center px-4 text-center text-sm text-soft">
      <span className="block font-medium wrap-anywhere text-ink">{caption}</span>
      {!stored && "The server fetches it when the run starts."}
      {broken !== null && broken === src && "This file cannot be shown."}
    </span>
  );
}
