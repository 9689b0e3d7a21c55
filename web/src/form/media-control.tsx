import { DropZone } from "./drop-zone";
import { MediaPreview } from "./media-preview";
import { useMedia } from "./use-media";
import { useUpload } from "./use-upload";
import type { ControlProps } from "./values";

const ACCEPT: Record<string, string> = { image: "image/*", video: "video/*", audio: "audio/*", file: "" };
const NOUNS: Record<string, string> = { image: "an image", video: "a video", audio: "an audio file", file: "a file" };

/** One file: dropped or chosen and kept by the server as an asset, or named by its address. The value is a URL. */
export function MediaControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const upload = useUpload();
  const chosen = String(value ?? "");
  const media = useMedia(chosen);

  async function take(files: File[]) {
    const [asset] = await upload.send(files);
    if (asset) onChange(asset.url);
  }

  return (
    <div className="flex flex-col gap-2">
      <DropZone
        id={id}
        accept={ACCEPT[input.kind] ?? ""}
        describedBy={describedBy}
        invalid={invalid || upload.error !== null}
        busy={upload.busy}
        onFiles={(files) => void take(files)}
      >
        {chosen ? (
          <MediaPreview value={chosen} kind={input.kind} />
        ) : (
          <span className="block px-4 py-9 text-center text-[0.9375rem] text-soft">
            {upload.busy ? "Uploading..." : `Drop ${NOUNS[input.kind] ?? "a file"} here or `}
            {!upload.busy && <span className="font-medium text-ink underline underline-offset-2">choose one</span>}
          </span>
        )}
      </DropZone>
      {upload.error && (
        <p role="alert" className="text-sm font-medium text-bad">
          {upload.error}
        </p>
      )}
      <div className="flex min-h-9 items-center gap-2">
        {chosen && media.stored ? (
          <span className="min-w-0 flex-1 truncate text-sm text-soft">{media.caption}</span>
        ) : (
          <input
            type="url"
            value={chosen}
            onChange={(event) => onChange(event.target.value.trim())}
            placeholder="or paste its URL"
            aria-label={`${input.label || input.id}: URL`}
            className="field py-1.5 sm:text-sm"
          />
        )}
        {chosen && (
          <button
            type="button"
            onClick={() => onChange("")}
            className="shrink-0 rounded-lg px-2 py-1.5 text-sm text-soft hover:bg-sunken hover:text-ink"
          >
            Remove
          </button>
        )}
      </div>
    </div>
  );
}
