import type { CSSProperties } from "react";
import { Link } from "react-router";
import type { Deployment, Run } from "../api";
import { appPath } from "../links";
import { SimulatedBadge } from "./status-chip";
import { Thumbnail } from "./thumbnail";

interface Props {
  deployment: Deployment;
  last: Run | undefined;
}

export function DeploymentCard({ deployment, last }: Props) {
  const count = deployment.inputs.length;
  return (
    <Link
      to={appPath(deployment.name)}
      className="card group block h-full overflow-hidden transition-shadow hover:border-line-strong/60 hover:shadow-lg hover:shadow-black/5"
    >
      {last ? (
        <Thumbnail run={last} className="aspect-4/3 w-full" />
      ) : (
        <div className="tile grid aspect-5/2 w-full place-items-center text-5xl font-semibold text-ink/25 sm:aspect-4/3" aria-hidden="true" style={hueOf(deployment.name)}>
          {deployment.name.slice(0, 1).toUpperCase()}
        </div>
      )}
      <div className="flex flex-col gap-1.5 border-t border-line p-4">
        <div className="flex items-center justify-between gap-3">
          <h2 className="truncate text-lg font-semibold tracking-tight">{deployment.name}</h2>
          {deployment.simulated && <SimulatedBadge />}
        </div>
        <p className="text-sm text-soft">
          {deployment.environment} · version {deployment.version} · {count} {count === 1 ? "input" : "inputs"}
        </p>
      </div>
    </Link>
  );
}

/** A tint of its own for each name, until there is a picture to show. */
function hueOf(name: string): CSSProperties {
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.charCodeAt(0)) % 360;
  return { "--hue": hue } as CSSProperties;
}
