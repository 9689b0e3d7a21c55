import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { ApiError, api, type Run, Unreachable } from "../api";
import type { FormError } from "../form/input-form";
import type { Values } from "../form/values";
import { randomKey } from "../links";
import { keys } from "../queries";

const TRIES = 2;
const DOUBLE_CLICK_MS = 500;

interface Submit {
  send: (inputs: Values) => void;
  sending: boolean;
  error: FormError | null;
}

/** Submits a run. One click, or a double click, is one run: a lost answer is asked for again under the same idempotency key. */
export function useSubmit(deployment: string, onAccepted: (run: Run) => void): Submit {
  const queries = useQueryClient();
  const clicked = useRef(0);
  const submit = useMutation({
    mutationFn: ({ inputs, key }: { inputs: Values; key: string }) => api.submit(deployment, inputs, key),
    retry: (count, error) => count < TRIES && error instanceof Unreachable,
    onError: () => {
      clicked.current = 0;
    },
    onSuccess: (run) => {
      queries.setQueryData(keys.run(run.id), run);
      void queries.invalidateQueries({ queryKey: ["runs"] });
      onAccepted(run);
    },
  });
  return {
    send: (inputs) => {
      const now = Date.now();
      if (now - clicked.current < DOUBLE_CLICK_MS) return;
      clicked.current = now;
      submit.mutate({ inputs, key: randomKey() });
    },
    sending: submit.isPending,
    error: submit.error && formError(submit.error),
  };
}

function formError(error: Error): FormError {
  const field = error instanceof ApiError ? (error.problem.place?.field ?? null) : null;
  return { field, message: error.message };
}
