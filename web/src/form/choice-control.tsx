import type { ControlProps } from "./values";

const MOST_SEGMENTS = 4;
const LONGEST_SEGMENTS = 32;

/** Few short choices side by side, more of them in a list. The value keeps the type the choice was declared with. */
export function ChoiceControl(props: ControlProps) {
  const choices = props.input.choices ?? [];
  const letters = choices.map(String).join("").length;
  const few = choices.length <= MOST_SEGMENTS && letters <= LONGEST_SEGMENTS;
  return few ? <Segments {...props} /> : <List {...props} />;
}

function Segments({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  return (
    <div
      role="radiogroup"
      aria-labelledby={`${id}-label`}
      aria-describedby={describedBy}
      aria-invalid={invalid}
      className="flex gap-1 rounded-xl bg-sunken p-1"
    >
      {input.choices?.map((choice, index) => (
        <label
          key={String(choice)}
          className="flex flex-1 cursor-pointer items-center justify-center rounded-lg px-3 py-1.5 text-[0.9375rem] text-soft tabular-nums hover:text-ink has-checked:bg-panel has-checked:font-medium has-checked:text-ink has-checked:shadow-sm has-checked:ring-1 has-checked:ring-line has-focus-visible:outline-2 has-focus-visible:outline-accent"
        >
          <input
            id={index === 0 ? id : undefined}
            type="radio"
            name={id}
            className="sr-only"
            checked={Object.is(choice, value)}
            onChange={() => onChange(choice)}
          />
          {String(choice)}
        </label>
      ))}
    </div>
  );
}

function List({ input, id, value, onChange, describedBy, invalid }: ControlProps) {
  const choices = input.choices ?? [];
  const chosen = choices.findIndex((choice) => Object.is(choice, value));
  return (
    <select
      id={id}
      value={chosen}
      onChange={(event) => onChange(choices[Number(event.target.value)])}
      aria-describedby={describedBy}
      aria-invalid={invalid}
      className="field"
    >
      {chosen < 0 && <option value={-1}>Choose...</option>}
      {choices.map((choice, index) => (
        <option key={String(choice)} value={index}>
          {String(choice)}
        </option>
      ))}
    </select>
  );
}
