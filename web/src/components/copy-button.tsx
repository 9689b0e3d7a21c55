import { useEffect, useState } from "react";
import { copy } from "../links";
import { Button } from "./button";

const SAY_SO_MS = 1800;

interface Props {
  text: string;
  label: string;
  look?: "plain" | "quiet";
}

export function CopyButton({ text, label, look = "plain" }: Props) {
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SAY_SO_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  return (
    <Button look={look} onClick={() => void copy(text).then(() => setCopied(true))}>
      <span aria-live="polite">{copied ? "Copied" : label}</span>
    </Button>
  );
}
