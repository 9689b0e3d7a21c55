import { useRef, useState } from "react";
import { useParams, useSearchParams } from "react-router";
import { ApiError, type Deployment } from "../api";
import { CallIt } from "../call/call-it";
import { Notice } from "../components/notice";
import { SimulatedBadge } from "../components/status-chip";
import { useTitle } from "../components/use-title";
import { InputForm } from "../form/input-form";
import { initialValues, toSend, type Values } from "../form/values";
import { useDeployment, useRecentRuns, useRun } from "../queries";
import { useSubmit } from "../run/use-submit";
import { EarlierRuns } from "../stage/earlier-runs";
import { EmptyStage } from "../stage/empty-stage";
import { RunStage } from "../stage/run-stage";

/** The page of one deployment: its form, its runs and how to call it. `?run=` names the run on the stage. */
export function AppPage() {
  const { deployment: name = "" } = useParams();
  const [search] = useSearchParams();
  const [openedWith] = useState(search.get("run"));
  const deployment = useDeployment(name);
  const opened = useRun(openedWith);
  useTitle(deployment.data?.name ?? name);

  if (deployment.error && !deployment.data) {
    const gone = deployment.error instanceof ApiError && deployment.error.status === 404;
    return (
      <Notice tone="bad" title={gone ? "There is no such deployment" : "Cannot show this deployment"}>
        {deployment.error.message}
      </Notice>
    );
  }
  // A form opened with a run starts from what that run was given.
  if (!deployment.data || (openedWith !== null && opened.isPending)) return null;
  const used = opened.data?.deployment_id === deployment.data.id ? opened.data.inputs : undefined;
  return <App key={deployment.data.id} deployment={deployment.data} used={used} />;
}

function App({ deployment, used }: { deployment: Deployment; used: Values | undefined }) {
  const [search, setSearch] = useSearchParams();
  const [values, setValues] = useState(() => initialValues(deployment.inputs, used));
  const recent = useRecentRuns(deployment.id);
  const stage = useRef<HTMLElement>(null);
  const submit = useSubmit(deployment.id, (run) => {
    setSearch({ run: run.id }, { preventScrollReset: true });
    bringIntoView(stage.current);
  });
  const inputs = toSend(deployment.inputs, values);
  const shown = search.get("run");

  return (
    <div className="flex flex-col gap-14">
      <div>
        <div className="mb-6 flex flex-wrap items-center gap-x-3 gap-y-1">
          <h1 className="text-2xl font-semibold tracking-tight wrap-anywhere">{deployment.name}</h1>
          {deployment.simulated && <SimulatedBadge />}
          <p className="w-full text-sm text-soft">
            {deployment.environment} · version {deployment.version}
          </p>
        </div>
        <div className="grid items-start gap-8 lg:grid-cols-[minmax(0,23rem)_minmax(0,1fr)] lg:gap-12">
          <InputForm
            inputs={deployment.inputs}
            values={values}
            onChange={(id, value) => setValues((before) => ({ ...before, [id]: value }))}
            onSubmit={() => submit.send(inputs)}
            sending={submit.sending}
            error={submit.error}
          />
          <section ref={stage} aria-label="Result" className="flex min-w-0 scroll-mt-4 flex-col gap-6 lg:sticky lg:top-6">
            {shown ? <RunStage key={shown} id={shown} /> : <EmptyStage />}
            <EarlierRuns deployment={deployment.name} runs={recent.data?.items ?? []} current={shown} />
          </section>
        </div>
      </div>
      <CallIt deployment={deployment} inputs={inputs} />
    </div>
  );
}

/** On a narrow window the stage lies below the form; whoever pressed Generate wants to see it. */
function bringIntoView(stage: HTMLElement | null): void {
  if (stage && stage.getBoundingClientRect().top > window.innerHeight / 2) stage.scrollIntoView({ behavior: "smooth" });
}
