import type { ControlProps } from "./values";

export function SwitchControl({ id, value, onChange, describedBy, invalid }: ControlProps) {
  return (
    <input
      id={id}
      type="checkbox"
      role="switch"
      checked={value === true}
      onChange={(event) => onChange(event.target.checked)}
      aria-describedby={describedBy}
      aria-invalid={invalid}
      className="relative h-7 w-12 shrink-0 cursor-pointer appearance-none rounded-full border border-line-strong bg-sunken transition-colors before:absolute before:left-0.75 before:top-0.75 before:size-5 before:rounded-full before:bg-line-strong before:transition-transform checked:border-accent checked:bg-accent checked:before:translate-x-5 checked:before:bg-white"
    />
  );
}
