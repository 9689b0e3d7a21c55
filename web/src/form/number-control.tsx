import type { CSSProperties } from "react";
import type { ControlProps } from "./values";

/** A number as typed; with both bounds known, a slider beside it. Bounds are shown here and enforced by the server. */
export function NumberControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const { minimum, maximum } = input;
  const bounded = typeof minimum === "number" && typeof maximum === "number";
  const step = input.step ?? (input.kind === "integer" ? 1 : undefined);
  const box = (
    <input
      id={id}
      type="text"
      inputMode={input.kind === "integer" ? "numeric" : "decimal"}
      autoComplete="off"
      value={String(value ?? "")}
      onChange={(event) => onChange(event.target.value)}
      aria-describedby={describedBy}
      aria-invalid={invalid}
      className={`field tabular-nums ${bounded ? "max-w-24 text-right" : "max-w-48"}`}
    />
  );
  if (!bounded) return box;
  const typed = Number(value);
  const at = value === "" || Number.isNaN(typed) ? minimum : Math.min(Math.max(typed, minimum), maximum);
  return (
    <div className="flex items-center gap-4">
      <input
        type="range"
        aria-labelledby={`${id}-label`}
        min={minimum}
        max={maximum}
        step={step ?? (maximum - minimum) / 100}
        value={at}
        onChange={(event) => onChange(event.target.value)}
        style={{ "--filled": `${((at - minimum) / (maximum - minimum || 1)) * 100}%` } as CSSProperties}
        className="slider h-6 min-w-0 flex-1"
      />
      {box}
    </div>
  );
}
