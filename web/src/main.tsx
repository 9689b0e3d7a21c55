import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { ApiError } from "./api";
import { App } from "./app";
import { keys } from "./queries";
import "./styles.css";

const TRIES = 2;

const queries = new QueryClient({
  queryCache: new QueryCache({
    // A session that ended is noticed by whichever call comes first; asking who we are leads to the sign-in page.
    onError: (error, query) => {
      const signedOut = error instanceof ApiError && error.status === 401;
      if (signedOut && query.queryKey[0] !== keys.me[0]) void queries.invalidateQueries({ queryKey: keys.me });
    },
  }),
  defaultOptions: {
    queries: {
      // A refusal stays a refusal; only silence and faults of the server are worth a second try.
      retry: (count, error) => count < TRIES && !(error instanceof ApiError && error.status < 500),
      staleTime: 1000,
    },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <BrowserRouter>
          <App />
        </BrowserRouter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
