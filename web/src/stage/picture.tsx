import { useState } from "react";

interface Props {
  src: string;
  alt: string;
  /** The full size opens in a tab of its own. */
  opens?: boolean;
}

/** Tall enough to judge a picture, low enough that its whole frame fits the window. */
export const FRAME = "grid min-h-40 w-full place-items-center overflow-hidden bg-sunken";
const TALLEST = "max(18rem, 100dvh - 19.5rem)";

/** A picture as large as the window allows, small ones enlarged, transparency on a checkerboard of just its size. */
export function Picture({ src, alt, opens = false }: Props) {
  const [ratio, setRatio] = useState<number | null>(null);
  const picture = (
    <img
      src={src}
      alt={alt}
      onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setRatio(naturalWidth / naturalHeight)}
      style={ratio === null ? { maxHeight: TALLEST } : { width: `min(100%, calc((${TALLEST}) * ${ratio}))`, aspectRatio: ratio }}
      className="checkerboard max-w-full"
    />
  );
  if (!opens) return <div className={FRAME}>{picture}</div>;
  return (
    <a href={src} target="_blank" rel="noreferrer" title="Open in full size" className={`${FRAME} -outline-offset-4`}>
      {picture}
    </a>
  );
}
