import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { ApiError, api } from "../api";
import { Button } from "../components/button";
import { Logo } from "../components/logo";
import { Notice } from "../components/notice";
import { useTitle } from "../components/use-title";
import { keys } from "../queries";

const tokenOf = (hash: string): string | null => new URLSearchParams(hash.slice(1)).get("token");

/** Signs in with the one-time token of a link (`#token=...`, which no server log sees) or with an API key. */
export function SignInPage() {
  useTitle("Sign in");
  const { hash, state } = useLocation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [key, setKey] = useState("");
  const spent = useRef<string | null>(null);

  const signIn = useMutation({
    mutationFn: api.signIn,
    onSuccess: (me) => {
      queries.setQueryData(keys.me, me);
      navigate(nextOf(state), { replace: true });
    },
  });
  const { mutate } = signIn;

  useEffect(() => {
    const token = tokenOf(hash);
    if (!token || spent.current === token) return;
    spent.current = token;
    history.replaceState(history.state, "", location.pathname);
    mutate({ token });
  }, [hash, mutate]);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (key.trim()) mutate({ key: key.trim() });
  }

  const byLink = signIn.variables !== undefined && "token" in signIn.variables;
  return (
    <main className="mx-auto flex min-h-dvh max-w-sm flex-col justify-center gap-6 px-4 py-12">
      <div className="flex flex-col items-start gap-4">
        <Logo />
        <h1 className="text-2xl font-semibold tracking-tight">Sign in to comfyserve</h1>
      </div>
      {signIn.error && (
        <Notice tone="bad" title={byLink ? "This sign-in link does not work any more" : "This did not work"}>
          {sentence(signIn.error, byLink)}
        </Notice>
      )}
      {byLink && !signIn.error ? (
        <p aria-live="polite" className="text-soft">Signing you in...</p>
      ) : (
        <form onSubmit={submit} className="flex flex-col gap-3">
          <label htmlFor="key" className="font-medium">API key</label>
          <input
            id="key"
            type="password"
            autoComplete="current-password"
            className="field font-mono"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
          <Button look="main" type="submit" disabled={signIn.isPending || !key.trim()}>Sign in</Button>
        </form>
      )}
      <p className="text-sm text-soft">
        <code className="font-mono">comfyserve up</code> prints a sign-in link at every start.{" "}
        <code className="font-mono">comfyserve key create</code> makes an API key.
      </p>
    </main>
  );
}

function nextOf(state: unknown): string {
  const next = (state as { next?: unknown } | null)?.next;
  return typeof next === "string" && next.startsWith("/") ? next : "/";
}

function sentence(error: Error, byLink: boolean): string {
  if (!(error instanceof ApiError) || error.status >= 500) return error.message;
  return byLink
    ? "A link signs in once and for a short time. Restart comfyserve for a new one, or sign in with an API key."
    : "The server does not know this key. Check that it is complete and has not expired or been deleted.";
}
