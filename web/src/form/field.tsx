import { useId } from "react";
import type { Input } from "../api";
import { ChoiceControl } from "./choice-control";
import { ColorControl } from "./color-control";
import { MediaControl } from "./media-control";
import { MediaListControl } from "./media-list-control";
import { NumberControl } from "./number-control";
import { SeedControl } from "./seed-control";
import { SwitchControl } from "./switch-control";
import { TextControl } from "./text-control";
import type { ControlProps } from "./values";

const CONTROLS: Record<Input["kind"], (props: ControlProps) => React.ReactNode> = {
  text: TextControl,
  number: NumberControl,
  integer: NumberControl,
  boolean: SwitchControl,
  choice: ChoiceControl,
  seed: SeedControl,
  image: MediaControl,
  images: MediaListControl,
  video: MediaControl,
  audio: MediaControl,
  file: MediaControl,
  model: TextControl,
  color: ColorControl,
};

interface Props {
  input: Input;
  value: unknown;
  onChange: (value: unknown) => void;
  error: string | undefined;
}

/** One input with its label, what it is for, and what is wrong with it. */
export function Field({ input, value, onChange, error }: Props) {
  const id = useId();
  const Control = input.choices?.length ? ChoiceControl : CONTROLS[input.kind] ?? TextControl;
  const about = input.description ? `${id}-about` : "";
  const wrong = error ? `${id}-error` : "";
  return (
    <div data-field={input.id} className="flex flex-col gap-1.5">
      <div className={input.kind === "boolean" ? "flex items-center justify-between gap-4" : "flex flex-col gap-1.5"}>
        <label id={`${id}-label`} htmlFor={id} className="text-[0.9375rem] font-medium">
          {input.label || input.id}
        </label>
        <Control
          input={input}
          id={id}
          value={value}
          onChange={onChange}
          invalid={error !== undefined}
          describedBy={`${about} ${wrong}`.trim() || undefined}
        />
      </div>
      {error && (
        <p id={wrong} role="alert" className="text-sm font-medium text-bad">
          {error}
        </p>
      )}
      {input.description && (
        <p id={about} className="text-sm text-soft">
          {input.description}
        </p>
      )}
    </div>
  );
}
