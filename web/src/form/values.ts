/** What a form holds and what it sends. Numbers are held as typed, so that "1." can become "1.5". */
import type { Input } from "../api";

export type Values = Record<string, unknown>;

export interface ControlProps {
  input: Input;
  id: string;
  value: unknown;
  onChange: (value: unknown) => void;
  describedBy: string | undefined;
  invalid: boolean;
}

const NUMERIC = new Set(["number", "integer", "seed"]);
const isNumeric = (input: Input): boolean => NUMERIC.has(input.kind) && !input.choices?.length;

export function initialValues(inputs: Input[], used: Values = {}): Values {
  return Object.fromEntries(inputs.map((input) => [input.id, held(input, used[input.id] ?? input.default)]));
}

function held(input: Input, value: unknown): unknown {
  if (value === null || value === undefined) return input.kind === "boolean" ? false : "";
  // A seed below its bounds stands for "a new one each time", which the form shows as an empty field.
  if (input.kind === "seed" && typeof value === "number" && value < (input.minimum ?? 0)) return "";
  return isNumeric(input) ? String(value) : value;
}

/** The inputs of a call; what is left empty is left out, so that the workflow's own default holds. */
export function toSend(inputs: Input[], values: Values): Values {
  const sent: Values = {};
  for (const input of inputs) {
    const value = values[input.id];
    const empty = value === "" || value === undefined || (Array.isArray(value) && value.length === 0);
    if (empty && input.kind !== "text") continue;
    sent[input.id] = isNumeric(input) ? numberOf(value) : (value ?? "");
  }
  return sent;
}

/** What is no number goes out as typed: the server's sentence about it names the field. */
function numberOf(value: unknown): unknown {
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}

export interface Section {
  id: string;
  title: string | null;
  inputs: Input[];
}

/** The inputs in their order, neighbours of one group together under its title. */
export function sections(inputs: Input[]): Section[] {
  const found: Section[] = [];
  for (const input of inputs) {
    const id = input.group?.id ?? "";
    const last = found.at(-1);
    if (last && last.id === id) last.inputs.push(input);
    else found.push({ id, title: input.group?.title ?? null, inputs: [input] });
  }
  return found;
}
