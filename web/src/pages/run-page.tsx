import { Link, useParams } from "react-router";
import { ApiError, type Run, type Target } from "../api";
import { CopyButton } from "../components/copy-button";
import { Notice } from "../components/notice";
import { buttonLook } from "../components/button";
import { useTitle } from "../components/use-title";
import { duration, moment } from "../format";
import { appPath } from "../links";
import { useRun } from "../queries";
import { RunInputs } from "../run/run-inputs";
import { Timeline } from "../run/timeline";
import { useRunStream } from "../run/use-run-stream";
import { Stage } from "../stage/stage";

/** All that is known about one run: what went in, what came out, and what happened in between. */
export function RunPage() {
  const { id = "" } = useParams();
  const run = useRun(id);
  useTitle(run.data?.deployment_name ? `Run of ${run.data.deployment_name}` : "Run");
  if (run.data) return <Details key={id} run={run.data} />;
  if (!run.error) return null;
  const gone = run.error instanceof ApiError && run.error.status === 404;
  return (
    <Notice tone="bad" title={gone ? "There is no such run" : "Cannot show this run"}>
      {run.error.message}
    </Notice>
  );
}

function Details({ run }: { run: Run }) {
  const live = useRunStream(run.id);
  return (
    <div className="flex flex-col gap-8">
      <div className="flex flex-wrap items-end justify-between gap-4">
        <div className="min-w-0">
          <h1 className="text-2xl font-semibold tracking-tight wrap-anywhere">
            {run.deployment_name ? `Run of ${run.deployment_name}` : "Run of a graph"}
          </h1>
          <p className="mt-1 text-sm text-soft">{moment(run.created_at)}</p>
        </div>
        {run.deployment_name && (
          <Link to={appPath(run.deployment_name, run.id)} className={buttonLook("plain")}>
            Open with these inputs
          </Link>
        )}
      </div>
      <div className="grid items-start gap-10 lg:grid-cols-[minmax(0,1fr)_minmax(0,23rem)] lg:gap-12">
        <div className="flex min-w-0 flex-col gap-10">
          <section aria-label="Result">
            <Stage run={run} live={live} details={false} />
          </section>
          <Timeline events={live.events} />
        </div>
        <div className="flex min-w-0 flex-col gap-8">
          <Facts run={run} />
          <RunInputs inputs={run.inputs} deployment={run.deployment_id} />
        </div>
      </div>
    </div>
  );
}

function placeOf(target: Target): string {
  if (target.url_prefix) return target.url_prefix;
  const folder = target.prefix || target.blob_prefix || target.directory || "";
  return `${target.type}: ${[target.bucket ?? target.container ?? target.repo, folder.replace(/^\/+/, "")].filter(Boolean).join("/")}`;
}

function Facts({ run }: { run: Run }) {
  const facts: [string, string][] = [
    ["Waited", duration(run.seconds.queued)],
    ["Ran", duration(run.seconds.running)],
    ["Attempts", `${run.attempts} of ${run.max_attempts}`],
    ["Stored as", run.convert_output?.format ?? ""],
    ["Sent to", run.target ? placeOf(run.target) : ""],
  ];
  return (
    <section aria-labelledby="facts">
      <h2 id="facts" className="mb-2 text-lg font-semibold tracking-tight">Facts</h2>
      <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1.5 text-[0.9375rem]">
        {facts.filter(([, value]) => value).map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-soft">{name}</dt>
            <dd className="min-w-0 tabular-nums wrap-anywhere">{value}</dd>
          </div>
        ))}
        <dt className="self-center text-soft">Id</dt>
        <dd className="flex min-w-0 items-center gap-1">
          <code className="truncate font-mono text-sm">{run.id}</code>
          <CopyButton text={run.id} label="Copy" look="quiet" />
        </dd>
      </dl>
    </section>
  );
}
