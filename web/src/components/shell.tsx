import { useQueryClient } from "@tanstack/react-query";
import { Link, Navigate, Outlet, useLocation, useNavigate } from "react-router";
import { ApiError, api } from "../api";
import { useMe } from "../queries";
import { Logo } from "./logo";
import { Notice } from "./notice";

/** The frame around every page of a signed-in visitor; everybody else is sent to the sign-in page and back. */
export function Shell() {
  const me = useMe();
  const here = useLocation();

  if (me.error instanceof ApiError && me.error.status === 401) {
    return <Navigate to="/sign-in" replace state={{ next: here.pathname + here.search }} />;
  }
  return (
    <div className="mx-auto flex min-h-dvh max-w-[84rem] flex-col px-4 sm:px-8">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:left-4 focus:top-2 focus:z-20 focus:rounded-lg focus:bg-panel focus:px-3 focus:py-2"
      >
        Skip to content
      </a>
      <header className="flex h-16 items-center justify-between gap-4">
        <Link to="/" className="flex items-center gap-2.5 rounded-lg font-semibold tracking-tight">
          <Logo />
          comfyserve
        </Link>
        {me.data && <Account workspace={me.data.workspace.name} />}
      </header>
      <main id="content" className="flex-1 pb-20 pt-4">
        {me.data && <Outlet />}
        {me.error && !me.data && (
          <Notice tone="bad" title="Cannot show this page">
            {me.error.message}
          </Notice>
        )}
      </main>
    </div>
  );
}

function Account({ workspace }: { workspace: string }) {
  const navigate = useNavigate();
  const queries = useQueryClient();

  async function signOut() {
    await api.signOut().catch(() => undefined);
    queries.clear();
    navigate("/sign-in");
  }

  const item = "rounded-lg px-2.5 py-1.5 hover:bg-sunken hover:text-ink";
  return (
    <nav aria-label="Account" className="flex items-center gap-1 text-sm text-soft">
      <span className="mr-2 hidden max-w-48 truncate sm:block">{workspace}</span>
      <a href="/docs" className={item}>
        API docs
      </a>
      <button type="button" onClick={signOut} className={item}>
        Sign out
      </button>
    </nav>
  );
}
