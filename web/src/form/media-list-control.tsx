import { DropZone } from "./drop-zone";
import { MediaPreview } from "./media-preview";
import { useUpload } from "./use-upload";
import type { ControlProps } from "./values";

/** Several pictures in order; the value is a list of URLs. */
export function MediaListControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const upload = useUpload();
  const urls = Array.isArray(value) ? value.map(String) : [];

  async function take(files: File[]) {
    const assets = await upload.send(files);
    if (assets.length > 0) onChange([...urls, ...assets.map((asset) => asset.url)]);
  }

  return (
    <div className="flex flex-col gap-2">
      {urls.length > 0 && (
        <ol className="grid grid-cols-2 gap-2">
          {urls.map((url, index) => (
            <li key={`${index} ${url}`} className="overflow-hidden rounded-xl border border-line">
              <MediaPreview value={url} kind="images" alt={`${input.label || input.id} ${index + 1}`} />
              <button
                type="button"
                onClick={() => onChange(urls.filter((_, other) => other !== index))}
                className="w-full border-t border-line py-1.5 text-sm text-soft hover:bg-sunken hover:text-ink"
              >
                Remove {index + 1}
              </button>
            </li>
          ))}
        </ol>
      )}
      <DropZone
        id={id}
        accept="image/*"
        multiple
        describedBy={describedBy}
        invalid={invalid || upload.error !== null}
        busy={upload.busy}
        onFiles={(files) => void take(files)}
      >
        <span className="block px-4 py-6 text-center text-[0.9375rem] text-soft">
          {upload.busy ? "Uploading..." : "Drop images here or choose them"}
        </span>
      </DropZone>
      {upload.error && <p role="alert" className="text-sm font-medium text-bad">{upload.error}</p>}
    </div>
  );
}
