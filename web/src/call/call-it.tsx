import { type KeyboardEvent, useRef, useState } from "react";
import type { Deployment } from "../api";
import { CopyButton } from "../components/copy-button";
import type { Values } from "../form/values";
import { snippets } from "./snippets";

const MOVES: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1 };

/** The form's call as code, with its present values, ready to paste. */
export function CallIt({ deployment, inputs }: { deployment: Deployment; inputs: Values }) {
  const [chosen, choose] = useState(0);
  const tabs = useRef<HTMLDivElement>(null);
  const all = snippets(deployment, inputs, location.origin);
  const shown = all[chosen];
  if (!shown) return null;

  function move(event: KeyboardEvent) {
    const step = MOVES[event.key];
    if (step === undefined) return;
    const next = (chosen + step + all.length) % all.length;
    choose(next);
    tabs.current?.querySelectorAll<HTMLElement>('[role="tab"]')[next]?.focus();
  }

  return (
    <section aria-labelledby="call-it">
      <h2 id="call-it" className="text-lg font-semibold tracking-tight">Call it</h2>
      <p className="mb-4 mt-1 text-[0.9375rem] text-soft">
        The same call from your program, with the values of the form. Make a key with{" "}
        <code className="font-mono text-sm">comfyserve key create</code> and keep it in{" "}
        <code className="font-mono text-sm">COMFYSERVE_KEY</code>.
      </p>
      <div className="card overflow-hidden">
        <div className="flex items-center justify-between gap-2 border-b border-line py-1.5 pl-2 pr-1.5">
          <div ref={tabs} role="tablist" aria-label="Language" onKeyDown={move} className="flex gap-1">
            {all.map((snippet, index) => (
              <button
                key={snippet.id}
                type="button"
                role="tab"
                id={`tab-${snippet.id}`}
                aria-selected={index === chosen}
                aria-controls="snippet"
                tabIndex={index === chosen ? 0 : -1}
                onClick={() => choose(index)}
                className="rounded-lg px-3 py-1.5 text-sm text-soft hover:text-ink aria-selected:bg-sunken aria-selected:font-medium aria-selected:text-ink"
              >
                {snippet.name}
              </button>
            ))}
          </div>
          <CopyButton text={shown.code} label="Copy" look="quiet" />
        </div>
        <div role="tabpanel" id="snippet" aria-labelledby={`tab-${shown.id}`}>
          <p className="px-4 pt-3 font-mono text-[0.8125rem] text-soft">{shown.needs}</p>
          <pre tabIndex={0} aria-label="Code" className="overflow-x-auto px-4 pb-4 pt-2 font-mono text-[0.8125rem] leading-relaxed -outline-offset-2">
            <code>{shown.code}</code>
          </pre>
        </div>
      </div>
    </section>
  );
}
