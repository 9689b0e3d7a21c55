import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../api";
import { keys } from "../queries";

export function useCancel(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => api.cancel(id),
    onSuccess: (run) => queries.setQueryData(keys.run(id), run),
  });
}
