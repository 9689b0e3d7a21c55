import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../api";
import { Button } from "../components/button";
import { keys } from "../queries";

/** Asks for the end of a run; the run itself says when it has ended. */
export function CancelButton({ id }: { id: string }) {
  const queries = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => api.cancel(id),
    onSuccess: (run) => queries.setQueryData(keys.run(id), run),
  });
  const asked = cancel.isPending || cancel.isSuccess;
  return (
    <div className="text-right">
      <Button onClick={() => cancel.mutate()} disabled={asked}>
        {asked ? "Cancelling..." : "Cancel"}
      </Button>
      {cancel.error && (
        <p role="alert" className="mt-1 text-sm text-bad">
          {cancel.error.message}
        </p>
      )}
    </div>
  );
}
