import { ENDED, type Run, type RunStatus } from "../api";
import { bytes } from "../format";
import { fractionOf, type Live } from "../run/live";
import { CancelButton } from "./cancel-button";
import { Outputs } from "./outputs";
import { FRAME, Picture } from "./picture";

interface Props {
  run: Run;
  status: RunStatus;
  live: Live;
}

/** The run on its way: the picture as it converges, the node at work, how far it is, and Cancel. */
export function Progressing({ run, status, live }: Props) {
  const fraction = fractionOf(live);
  const percent = fraction === null ? null : Math.round(fraction * 100);
  return (
    <div className="card overflow-hidden">
      {live.preview ? <Picture src={live.preview} alt="Preview of the picture so far" /> : <Waiting />}
      <div
        role="progressbar"
        aria-label="Progress of the run"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent ?? undefined}
        className="h-1.5 bg-sunken"
      >
        <div className="h-full bg-accent transition-[width] duration-300" style={{ width: `${percent ?? 0}%` }} />
      </div>
      <div className="flex items-center gap-4 p-4">
        <div className="min-w-0 flex-1">
          <p aria-live="polite" className="truncate font-medium">
            {sentence(run, status, live)}
          </p>
          <p className="min-h-5 text-sm text-soft tabular-nums">{measures(run, live, percent)}</p>
        </div>
        <CancelButton id={run.id} />
      </div>
      {live.outputs.length > 0 && (
        <div className="border-t border-line p-4">
          <Outputs outputs={live.outputs} empty={false} />
        </div>
      )}
    </div>
  );
}

function Waiting() {
  return (
    <div className={`${FRAME} aspect-square max-h-[max(18rem,100dvh-19.5rem)]`} aria-hidden="true">
      <span className="h-1 w-24 overflow-hidden rounded-full bg-line">
        <span className="sweeping block h-full w-2/5 rounded-full bg-accent" />
      </span>
    </div>
  );
}

function measures(run: Run, live: Live, percent: number | null): string {
  const file = live.downloads[0];
  if (file) return file.total ? `${percent} % of ${bytes(file.total)}` : bytes(file.received);
  const steps = live.progress && live.progress.node_id === live.node?.id ? live.progress : null;
  const said = [
    percent !== null && `${percent} %`,
    steps && steps.maximum > 1 && `step ${steps.value} of ${steps.maximum}`,
    run.attempts > 1 && `attempt ${run.attempts} of ${run.max_attempts}`,
  ];
  return said.filter(Boolean).join(" · ");
}

function sentence(run: Run, status: RunStatus, live: Live): string {
  if (status === "queued") {
    if (run.queue_position === null) return "Waiting for a worker";
    return run.queue_position === 0 ? "Next in line" : `In the queue, ${run.queue_position} before this one`;
  }
  if (status === "starting") return downloading(live) ?? "A worker is getting ready";
  if (status === "collecting" || ENDED.has(status)) return "Saving the results";
  return live.node?.title ?? "Running";
}

function downloading({ downloads: [file, ...others] }: Live): string | null {
  if (!file) return null;
  const name = file.name.split("/").at(-1);
  return others.length > 0 ? `Downloading ${name}, ${others.length} more to come` : `Downloading ${name}`;
}
