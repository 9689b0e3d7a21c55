import { useState } from "react";
import { DropZone } from "./drop-zone";
import { MediaPreview } from "./media-preview";
import { useUpload } from "./use-upload";
import type { ControlProps } from "./values";

const ACCEPT: Record<string, string> = { image: "image/*", video: "video/*", audio: "audio/*", file: "" };

/** One file: dropped or chosen and kept by the server as an asset, or named by its address. The value is a URL. */
export function MediaControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const upload = useUpload();
  const [name, setName] = useState<string | null>(null);
  const url = String(value ?? "");
  const accept = ACCEPT[input.kind] ?? "";
  const noun = input.kind === "image" ? "an image" : `a ${input.kind === "file" ? "file" : `${input.kind} file`}`;

  async function take(files: File[]) {
    const [asset] = await upload.send(files);
    if (!asset) return;
    setName(asset.filename);
    onChange(asset.url);
  }
  function set(next: string) {
    setName(null);
    onChange(next);
  }

  return (
    <div className="flex flex-col gap-2">
      <DropZone
        id={id}
        accept={accept}
        describedBy={describedBy}
        invalid={invalid || upload.error !== null}
        busy={upload.busy}
        onFiles={(files) => void take(files)}
      >
        {url ? (
          <MediaPreview url={url} kind={input.kind} name={name} />
        ) : (
          <span className="block px-4 py-9 text-center text-[0.9375rem] text-soft">
            {upload.busy ? "Uploading..." : (
              <>
                Drop {noun} here or <span className="font-medium text-ink underline">choose one</span>
              </>
            )}
          </span>
        )}
      </DropZone>
      {upload.error && <p role="alert" className="text-sm font-medium text-bad">{upload.error}</p>}
      <div className="flex items-center gap-2">
        <input
          type="url"
          value={url}
          onChange={(event) => set(event.target.value.trim())}
          placeholder="or paste its URL"
          aria-label={`${input.label || input.id}: URL`}
          className="field py-1.5 sm:text-sm"
        />
        {url && (
          <button type="button" onClick={() => set("")} className="shrink-0 rounded-lg px-2 py-1.5 text-sm text-soft hover:bg-sunken hover:text-ink">
            Remove
          </button>
        )}
      </div>
    </div>
  );
}
