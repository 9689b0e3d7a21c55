import type { ButtonHTMLAttributes } from "react";

const LOOKS = {
  main: "bg-accent text-white hover:bg-accent-strong disabled:opacity-60 h-12 px-6 text-base shadow-sm",
  plain: "border border-line-strong/60 bg-panel text-ink hover:bg-sunken h-10 px-4 text-[0.9375rem] disabled:opacity-60",
  quiet: "text-soft hover:bg-sunken hover:text-ink h-9 px-3 text-sm disabled:opacity-60",
};

const SHAPE =
  "inline-flex items-center justify-center gap-2 rounded-xl font-medium whitespace-nowrap transition-colors disabled:cursor-default";

export const buttonLook = (look: keyof typeof LOOKS): string => `${SHAPE} ${LOOKS[look]}`;

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: keyof typeof LOOKS;
}

export function Button({ look = "plain", type = "button", className = "", ...rest }: Props) {
  return <button type={type} className={`${buttonLook(look)} ${className}`} {...rest} />;
}
