import { Button } from "../components/button";
import type { ControlProps } from "./values";

/** Seeds that every sampler and every JSON reader can hold. */
const LARGEST = 2 ** 32 - 1;

export function SeedControl({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  function roll() {
    const lowest = Math.max(input.minimum ?? 0, 0);
    const highest = Math.min(input.maximum ?? LARGEST, LARGEST);
    const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
    onChange(String(lowest + (random % (highest - lowest + 1))));
  }
  return (
    <div className="flex gap-2">
      <input
        id={id}
        type="text"
        inputMode="numeric"
        autoComplete="off"
        placeholder="A new one each time"
        value={String(value ?? "")}
        onChange={(event) => onChange(event.target.value)}
        aria-describedby={describedBy}
        aria-invalid={invalid}
        className="field tabular-nums"
      />
      <Button onClick={roll} aria-label="Roll a seed" title="Roll a seed" className="shrink-0 px-2.5">
        <svg viewBox="0 0 24 24" className="size-5" fill="none" stroke="currentColor" strokeWidth="1.8" aria-hidden="true">
          <rect x="3.5" y="3.5" width="17" height="17" rx="4" />
          <g fill="currentColor" stroke="none">
            <circle cx="8.3" cy="8.3" r="1.5" />
            <circle cx="15.7" cy="8.3" r="1.5" />
            <circle cx="12" cy="12" r="1.5" />
            <circle cx="8.3" cy="15.7" r="1.5" />
            <circle cx="15.7" cy="15.7" r="1.5" />
          </g>
        </svg>
      </Button>
    </div>
  );
}
