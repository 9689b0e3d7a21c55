import type { ReactNode } from "react";

const TONES = {
  bad: "border-bad/30 bg-bad-wash text-bad",
  warn: "border-warn/30 bg-warn-wash text-warn",
  calm: "border-line bg-sunken text-soft",
};

interface Props {
  tone: keyof typeof TONES;
  title: string;
  children?: ReactNode;
}

export function Notice({ tone, title, children }: Props) {
  return (
    <div role={tone === "bad" ? "alert" : undefined} className={`rounded-xl border px-4 py-3 ${TONES[tone]}`}>
      <p className="font-medium">{title}</p>
      {children && <div className="mt-0.5 text-[0.9375rem] wrap-anywhere text-ink">{children}</div>}
    </div>
  );
}
