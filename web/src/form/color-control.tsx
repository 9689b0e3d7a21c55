import type { ControlProps } from "./values";

const HEX = /^#[0-9a-f]{6}$/i;

export function ColorControl({ id, value, onChange, describedBy, invalid }: ControlProps) {
  const text = String(value ?? "");
  return (
    <div className="flex items-center gap-2">
      <input
        type="color"
        aria-labelledby={`${id}-label`}
        value={HEX.test(text) ? text : "#000000"}
        onChange={(event) => onChange(event.target.value)}
        className="h-10 w-14 shrink-0 cursor-pointer rounded-lg border border-line-strong bg-panel p-1"
      />
      <input
        id={id}
        type="text"
        placeholder="#rrggbb"
        value={text}
        onChange={(event) => onChange(event.target.value)}
        aria-describedby={describedBy}
        aria-invalid={invalid}
        className="field max-w-36 font-mono"
      />
    </div>
  );
}
