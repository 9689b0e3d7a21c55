import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useReducer } from "react";
import { api, type Download, type Preview, type Progress, type Run, type RunEvent } from "../api";
import { keys } from "../queries";
import { DURABLE, type Live, listen, SILENCE } from "./live";

/**
 * Follows a run. The browser resumes a broken stream after the last event it has; the final message puts the finished
 * run where the pages read it. When the stream is refused, the pages go on by asking for the run now and then.
 */
export function useRunStream(id: string | null): Live {
  const queries = useQueryClient();
  const [live, tell] = useReducer(listen, SILENCE);

  useEffect(() => {
    if (id === null) return;
    const stream = new EventSource(api.eventsUrl(id));
    const on = <Data>(kind: string, hear: (data: Data) => void) =>
      stream.addEventListener(kind, (message) => hear(JSON.parse((message as MessageEvent<string>).data) as Data));

    for (const kind of DURABLE) on<RunEvent>(kind, (event) => tell({ tell: "event", event }));
    on<Progress>("progress", (progress) => tell({ tell: "progress", progress }));
    on<Preview>("preview", (preview) => tell({ tell: "preview", preview }));
    on<Download>("download", (download) => tell({ tell: "download", download }));
    on<Run>("run", (run) => {
      stream.close();
      queries.setQueryData(keys.run(id), run);
      void queries.invalidateQueries({ queryKey: ["runs"] });
    });
    return () => {
      stream.close();
      tell({ tell: "nothing" });
    };
  }, [id, queries]);

  return live;
}
