import { useTitle } from "../components/use-title";
import { Notice } from "../components/notice";
import { DeploymentCard } from "../components/deployment-card";
import { FirstSteps } from "../components/first-steps";
import { RunList } from "../components/run-list";
import { useDeployments, useRecentRuns } from "../queries";

const RUNS_SHOWN = 12;

export function HomePage() {
  useTitle("Home");
  const deployments = useDeployments();
  const recent = useRecentRuns();
  const error = deployments.error ?? recent.error;
  const runs = recent.data?.items ?? [];

  return (
    <div className="flex flex-col gap-12">
      {error && (
        <Notice tone="bad" title="Cannot refresh this page">
          {error.message}
        </Notice>
      )}
      <section aria-labelledby="deployments">
        <h1 id="deployments" className="mb-5 text-2xl font-semibold tracking-tight">
          Deployments
        </h1>
        {deployments.data?.items.length === 0 && <FirstSteps />}
        <ul className="grid gap-5 sm:grid-cols-2 lg:grid-cols-3">
          {deployments.data?.items.map((deployment) => (
            <li key={deployment.id}>
              <DeploymentCard
                deployment={deployment}
                last={runs.find((run) => run.deployment_id === deployment.id && run.status === "success")}
              />
            </li>
          ))}
        </ul>
      </section>
      {recent.data && (deployments.data?.items.length ?? 0) > 0 && (
        <section aria-labelledby="runs">
          <h2 id="runs" className="mb-4 text-lg font-semibold tracking-tight">
            Last runs
          </h2>
          <RunList runs={runs.slice(0, RUNS_SHOWN)} />
        </section>
      )}
    </div>
  );
}
