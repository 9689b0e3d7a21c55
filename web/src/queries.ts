/** What the pages read, each under one key, and how often it is read again while the page is open. */
import { useQuery } from "@tanstack/react-query";
import { api, hasEnded, type Run } from "./api";

const REFRESH_MS = 3000;
const WATCH_MS = 1500;
const RECENT = 50;
const RECENT_OF_ONE = 13;

export const keys = {
  me: ["me"],
  deployments: ["deployments"],
  deployment: (name: string) => ["deployments", name],
  runs: (deployment?: string) => ["runs", deployment ?? null],
  run: (id: string) => ["run", id],
  asset: (id: string) => ["asset", id],
};

export const useMe = () => useQuery({ queryKey: keys.me, queryFn: api.me, staleTime: 60_000 });

export const useDeployments = () =>
  useQuery({ queryKey: keys.deployments, queryFn: api.deployments, refetchInterval: REFRESH_MS });

export const useDeployment = (name: string | null) =>
  useQuery({
    queryKey: keys.deployment(name ?? ""),
    queryFn: () => api.deployment(name as string),
    enabled: name !== null,
    staleTime: 30_000,
  });

export const useRecentRuns = (deployment?: string) =>
  useQuery({
    queryKey: keys.runs(deployment),
    queryFn: () => api.runs(deployment ? RECENT_OF_ONE : RECENT, deployment),
    refetchInterval: REFRESH_MS,
  });

/** The run with its outputs; lists show one file of a run. A finished run stays as it is, so it is read once. */
export function useFinished(run: Run): Run {
  const finished = useQuery({
    queryKey: keys.run(run.id),
    queryFn: () => api.run(run.id),
    enabled: run.status === "success" && run.outputs.length === 0,
    staleTime: Infinity,
  });
  return finished.data ?? run;
}

/** The run as the server has it; asked again until it has ended, for what its event stream does not say. */
export const useRun = (id: string | null) =>
  useQuery({
    queryKey: keys.run(id ?? ""),
    queryFn: () => api.run(id as string),
    enabled: id !== null,
    refetchInterval: ({ state }) => (state.data && hasEnded(state.data as Run) ? false : WATCH_MS),
  });
