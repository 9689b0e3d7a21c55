import { Link } from "react-router";
import { useTitle } from "../components/use-title";

export function NotFoundPage() {
  useTitle("Not found");
  return (
    <div className="mx-auto max-w-md py-24 text-center">
      <h1 className="text-2xl font-semibold tracking-tight">There is no such page</h1>
      <p className="mt-2 text-soft">
        The address may be mistyped. <Link to="/" className="underline">See all deployments</Link>
      </p>
    </div>
  );
}
