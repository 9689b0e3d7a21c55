import { type ClipboardEvent, type DragEvent, type ReactNode, useState } from "react";

interface Props {
  id: string;
  accept: string;
  multiple?: boolean;
  describedBy: string | undefined;
  invalid: boolean;
  busy: boolean;
  onFiles: (files: File[]) => void;
  children: ReactNode;
}

/** A place to drop, paste or choose files; the real file input lies inside, so that the keyboard reaches it. */
export function DropZone({ id, accept, multiple = false, describedBy, invalid, busy, onFiles, children }: Props) {
  const [over, setOver] = useState(false);

  function take(list: FileList | null | undefined) {
    const files = Array.from(list ?? []);
    if (files.length > 0) onFiles(multiple ? files : files.slice(0, 1));
  }
  function drop(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  }
  function paste(event: ClipboardEvent) {
    if (event.clipboardData.files.length > 0) take(event.clipboardData.files);
  }

  const edge = over ? "border-accent bg-accent-wash" : invalid ? "border-bad" : "border-line-strong/70 hover:border-accent";
  return (
    <label
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      onPaste={paste}
      aria-busy={busy}
      className={`relative block cursor-pointer overflow-hidden rounded-xl border border-dashed transition-colors has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent ${edge}`}
    >
      <input
        id={id}
        type="file"
        accept={accept}
        multiple={multiple}
        className="sr-only"
        aria-describedby={describedBy}
        aria-invalid={invalid}
        onChange={(event) => {
          take(event.target.files);
          event.target.value = "";
        }}
      />
      {children}
      {busy && (
        <span className="absolute inset-x-0 bottom-0 h-1 overflow-hidden bg-accent-wash">
          <span className="sweeping block h-full w-2/5 bg-accent" />
        </span>
      )}
    </label>
  );
}
