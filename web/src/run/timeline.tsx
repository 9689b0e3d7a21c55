import type { Output, Problem, RunEvent } from "../api";
import { bytes, duration, moment } from "../format";

type Data = Record<string, unknown>;

const SENTENCES: Record<string, (data: Data) => string> = {
  submitted: () => "Submitted",
  claimed: () => "Claimed by a worker",
  downloaded: (data) => `${String(data.name)} ${arrival(data)}`,
  staged: () => "Files are in place",
  started: () => "Given to the engine",
  node_started: (data) => `${String(data.title || data.class_type || "Node")} (node ${String(data.node_id)})`,
  output: (data) => `Saved ${(data as unknown as Output).filename ?? "a result"}`,
  executed: () => "The engine is done",
  succeeded: () => "Finished",
  failed: (data) => `Failed: ${reason(data)}`,
  cancel_requested: () => "Cancel was asked for",
  cancelled: () => "Cancelled",
  timed_out: (data) => `Timed out: ${reason(data)}`,
  lost: (data) => `Attempt ${String(data.attempt ?? "")} was lost: ${String(data.reason ?? "no reason given")}`,
  warning: (data) => String(data.message ?? "Warning"),
};

function arrival(data: Data): string {
  if (data.cached) return "was here already";
  return `downloaded, ${bytes(Number(data.bytes ?? 0))} in ${duration(Number(data.seconds ?? 0))}`;
}

const BAD = new Set(["failed", "timed_out", "lost"]);
const GOOD = new Set(["succeeded"]);

const reason = (data: Data): string => (data.error as Problem | undefined)?.message ?? "no reason given";

/** What happened to the run, each with its time after the submit. */
export function Timeline({ events }: { events: RunEvent[] }) {
  const first = events[0] ? Date.parse(events[0].at) : 0;
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline" className="mb-3 text-lg font-semibold tracking-tight">Timeline</h2>
      <ol className="relative ml-1.5 border-l border-line">
        {events.map((event) => (
          <li key={event.seq} className="relative flex items-baseline gap-3 py-1.5 pl-5 text-[0.9375rem]">
            <span aria-hidden="true" className={`absolute -left-[0.28125rem] top-3.5 size-2 rounded-full ${dot(event)}`} />
            <span className="min-w-0 flex-1 wrap-anywhere">{SENTENCES[event.kind]?.(event.data) ?? event.kind}</span>
            <time dateTime={event.at} title={moment(event.at)} className="shrink-0 text-sm text-soft tabular-nums">
              {((Date.parse(event.at) - first) / 1000).toFixed(2)} s
            </time>
          </li>
        ))}
      </ol>
    </section>
  );
}

function dot(event: RunEvent): string {
  if (BAD.has(event.kind)) return "bg-bad";
  return GOOD.has(event.kind) ? "bg-good" : "bg-line-strong";
}
