import type { ControlProps } from "./values";

export function TextControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const shared = { id, value: String(value ?? ""), "aria-describedby": describedBy, "aria-invalid": invalid };
  if (input.multiline) {
    return (
      <textarea
        {...shared}
        rows={4}
        className="field field-sizing-content max-h-80 min-h-26 resize-y leading-relaxed"
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  return <input {...shared} type="text" className="field" onChange={(event) => onChange(event.target.value)} />;
}
