import type { Output, Run } from "../api";
import { ours } from "../links";
import { useFinished, useMe } from "../queries";

const firstPicture = (run: Run | undefined): Output | undefined =>
  run?.outputs.find((output) => output.kind === "image" && output.url);

/** The first picture of a run, filling its frame; an empty frame when there is none. */
export function Thumbnail({ run, className = "" }: { run: Run; className?: string }) {
  const me = useMe();
  const finished = useFinished(run);
  const picture = firstPicture(finished);
  const src = picture?.url && ours(picture.url, me.data?.public_url);
  return (
    <div className={`overflow-hidden bg-sunken ${src ? "checkerboard" : ""} ${className}`}>
      {src && <img src={src} alt="" loading="lazy" decoding="async" className="size-full object-cover" />}
    </div>
  );
}
