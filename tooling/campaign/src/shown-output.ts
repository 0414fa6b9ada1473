import { runPlan, type SecretSource } from "@melange2/core";
import { readRecipe } from "@melange2/recipe";
import { scriptedEngine } from "@melange2/testkit";

/** What a build shows of a step that writes these pieces, one after another: the step's lines, in order. `recipe` is a file with one step. */
export async function shownOutput(recipe: string, pieces: readonly string[], secrets: SecretSource): Promise<string> {
  const { signal } = new AbortController();
  const compiled = await readRecipe(recipe, { arch: "x86_64" });
  if (compiled.kind === "skipped") throw new TypeError("this recipe is for every architecture");
  const write = (_: unknown, run: { output(text: string): void }) => {
    for (const piece of pieces) run.output(piece);
    return 0;
  };
  const [step] = compiled.plan.units.flatMap((unit) => unit.steps);
  const engine = scriptedEngine({ steps: { [step?.id ?? ""]: write } });
  await using session = await engine.open({ capture: false, secrets, network: false, signal });
  const platform = { os: "linux", architecture: "amd64" };
  const shown: string[] = [];
  await runPlan({
    plan: compiled.plan,
    id: "campaign",
    session,
    environments: { build: { platform, config: {}, layers: [] } },
    secrets,
    tell: (event) => {
      if (event.type === "step-output") shown.push(event.text);
    },
    signal,
    now: () => new Date(),
  });
  return shown.join("\n");
}
