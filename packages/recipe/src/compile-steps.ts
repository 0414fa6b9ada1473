import type { Location } from "@melange2/core";
import { ConditionError, evaluateCondition, quoteForCondition } from "./condition.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
import { applyDefinition, type PipelineDefinitions, whyNoPipeline } from "./pipeline-definitions.ts";
import { suggestVariable } from "./recipe-scope.ts";
import type { StepSource } from "./schema.ts";
import type { ShellFragment } from "./shell-syntax.ts";
import { locationOf, type Place, type Problems, type Text } from "./source.ts";
import { checkArguments, keptArguments, resolveInputs, withInputs } from "./step-inputs.ts";
import { growing, substituteText, substituteVariables, type Variables } from "./variables.ts";

export const workspace = "/home/build";

/** A step with everything substituted; a tree as in the recipe, with the content of used pipelines as children. */
export interface CompiledStep {
  /** `pipeline[2].pipeline[1]`. */
  readonly path: string;
  /** The step's place in its list and those of its ancestors in theirs: `[2, 1]`. */
  readonly indices: readonly number[];
  /** Its place in the recipe; below a `uses`, the place of that. */
  readonly location: Location;
  /** As written, empty where the step has none. */
  readonly name: string;
  /** The name with its variables, or that of the used pipeline; for people. */
  readonly displayName: string;
  /** The recipe's `label`, which has no effect. */
  readonly label: string;
  /** The pipeline that the step uses, or empty. */
  readonly uses: string;
  /** For the content of a used pipeline: that pipeline. */
  readonly within: string | undefined;
  /** Values of inputs that are not the text of their default. */
  readonly with: ReadonlyMap<string, string>;
  /** The `if` with its values, or empty. */
  readonly condition: string;
  /** False when the condition is false: neither the step nor its children run, nor are their needs met. */
  readonly active: boolean;
  readonly fragment: string;
  /** Absolute. */
  readonly workdir: string;
  /** The working directory as written for it or the nearest ancestor, or empty. */
  readonly writtenWorkdir: string;
  /** Its own variables and its ancestors'. */
  readonly environment: ReadonlyMap<string, string>;
  readonly ownEnvironment: ReadonlyMap<string, string>;
  readonly needs: readonly string[];
  /** How many of its children must run, where the recipe says so. */
  readonly requiredSteps: number | undefined;
  readonly children: readonly CompiledStep[];
}

export interface StepScope {
  readonly variables: Variables;
  readonly definitions: PipelineDefinitions;
  readonly problems: Problems;
  /** What keeps the steps from running, though they compile. */
  readonly refusals: Problems;
  readonly budget: Budget;
  /** Where each script and its place is noted, for the check of its syntax. */
  readonly scripts: ShellFragment[];
  /** How many variables the environment of the steps has without their own. */
  readonly environmentSize: number;
}

/** What a step takes over from its parent. */
interface Inherited {
  readonly path: string;
  readonly indices: readonly number[];
  /** Those of the pipeline, with the inputs of what is used around the step. */
  readonly variables: Variables;
  readonly workdir: string;
  readonly writtenWorkdir: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Inside a used pipeline: the place of its `uses` in the recipe. */
  readonly place: Place | undefined;
  readonly using: readonly string[];
  /** Whether the steps around it run. */
  readonly running: boolean;
}

/** Compiles a pipeline list; `path` is where it stands: `subpackages[0]`, or empty for the main one. */
export function compileSteps(steps: readonly StepSource[], path: string, scope: StepScope): readonly CompiledStep[] {
  const root: Inherited = {
    path,
    indices: [],
    variables: scope.variables,
    workdir: workspace,
    writtenWorkdir: "",
    environment: new Map(),
    place: undefined,
    using: [],
    running: true,
  };
  return steps.map((step, index) => compileStep(step, index, root, scope));
}

function compileStep(source: StepSource, index: number, inherited: Inherited, scope: StepScope): CompiledStep {
  const { problems, budget } = scope;
  const here = inherited.place ?? source.at;
  budget.steps(here);
  if (inherited.indices.length >= limits.depth)
    refuseBeyond(`pipelines lie more than ${limits.depth} deep in each other`, here, "Keep pipelines flat.");
  const definition = usedDefinition(source, inherited, scope);
  const step = definition ? applyDefinition(source, definition) : source;
  if (definition) checkArguments(source, definition, problems);
  const inputs = resolveInputs(step, source.at, inherited.variables, problems);
  const variables = withInputs(inherited.variables, inputs);
  const hint = suggestVariable(variables);
  const fill = (text: Text) => {
    const filled = substituteText(text, variables, problems, { hint });
    budget.characters(filled.length, here);
    refuseReference(filled, text, problems);
    return filled;
  };
  const path = `${inherited.path}${inherited.path === "" ? "" : "."}pipeline[${index}]`;
  const ownWorkdir = fill(step["working-directory"]);
  const environment = surroundings(step, inherited.environment);
  // Steps without variables of their own share those of their parent.
  const ownVariables = step.environment.size === 0 ? 0 : environment.size + scope.environmentSize;
  budget.values(inputs.size + ownVariables + step.needs.packages.length, here);
  const indices = [...inherited.indices, index];
  const condition = evaluated(step.if, variables, problems);
  const below: Inherited = {
    path,
    indices,
    variables,
    workdir: absolute(ownWorkdir) ?? inherited.workdir,
    writtenWorkdir: ownWorkdir || inherited.writtenWorkdir,
    environment,
    place: inherited.place ?? (definition ? source.at : undefined),
    using: definition ? [...inherited.using, source.uses.value] : inherited.using,
    running: inherited.running && condition.active,
  };
  const fragment = fill(step.runs);
  scope.scripts.push({ fragment, place: step.runs.place });
  const compiled: CompiledStep = {
    path,
    indices,
    location: locationOf(here),
    name: source.name.value,
    displayName: growing(step.name, () =>
      substituteVariables(
        step.name.value,
        (name) => variables.get(name),
        () => {},
      ),
    ),
    label: step.label.value,
    uses: step.uses.value,
    within: inherited.using.at(-1),
    // melange keeps the arguments of an outermost step only where it has any.
    with: source.with.size > 0 || indices.length > 1 ? keptArguments(step, inputs) : new Map(),
    ...condition,
    fragment,
    workdir: below.workdir,
    writtenWorkdir: below.writtenWorkdir,
    environment,
    ownEnvironment: valuesOf(step.environment),
    needs: step.needs.packages.map(fill),
    requiredSteps: step.assertions?.["required-steps"],
    children: step.pipeline.map((child, position) => compileStep(child, position, below, scope)),
  };
  if (below.running) checkRequiredSteps(step, compiled, scope.refusals);
  return compiled;
}

/** Values that are put beside each other could make a reference that no text and no value holds. */
function refuseReference(filled: string, { place }: Text, problems: Problems): void {
  const at = filled.indexOf("${{");
  if (at === -1 || problems.errors.length > 0) return;
  problems.error(`once its variables are substituted, the text holds "${filled.slice(at, at + 40)}"`, place, {
    hint: 'Melange has no way to write "${{" itself: have the step make it.',
  });
}

function surroundings(step: StepSource, inherited: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return step.environment.size === 0 ? inherited : new Map([...inherited, ...valuesOf(step.environment)]);
}

function valuesOf(texts: ReadonlyMap<string, Text>): ReadonlyMap<string, string> {
  return new Map([...texts].map(([name, { value }]) => [name, value]));
}

function usedDefinition(step: StepSource, inherited: Inherited, scope: StepScope): StepSource | undefined {
  const { problems } = scope;
  const uses = step.uses.value;
  if (uses === "") return undefined;
  if (step.pipeline.length > 0) {
    // A recipe that melange has compiled already looks like this.
    problems.warn(`the step has a pipeline of its own, so "${uses}" is not loaded`, step.uses.place);
    return undefined;
  }
  const impossible = whyNoPipeline(uses);
  if (impossible !== undefined) {
    problems.error(impossible, step.uses.place, {
      hint: "Name a file below a pipeline directory, without its .yaml.",
    });
    return undefined;
  }
  if (inherited.using.includes(uses)) {
    problems.error(`the pipeline "${uses}" uses itself: ${[...inherited.using, uses].join(" → ")}`, step.uses.place);
    return undefined;
  }
  return scope.definitions.get(step.uses);
}

function evaluated(
  condition: Text,
  variables: Variables,
  problems: Problems,
): Pick<CompiledStep, "condition" | "active"> {
  if (condition.value === "") return { condition: "", active: true };
  let complete = true;
  const expression = substituteText(condition, variables, problems, {
    quote: quoteForCondition,
    hint: suggestVariable(variables),
    onBad: () => {
      complete = false;
    },
  });
  return { condition: expression, active: !complete || checkedCondition(expression, condition, problems) };
}

/** A condition's value; true, and reported, where it cannot be read. */
export function checkedCondition(expression: string, source: Text, problems: Problems): boolean {
  try {
    return evaluateCondition(expression);
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    problems.error(`the condition ${expression} cannot be read: ${error.message}`, source.place, {
      hint: `A condition compares values in quotes: \${{build.arch}} == 'x86_64'. Package, vars and range variables need quotes around them.`,
    });
    return true;
  }
}

function absolute(directory: string): string | undefined {
  if (directory === "") return undefined;
  return directory.startsWith("/") ? directory : joinPath(workspace, directory);
}

function joinPath(base: string, relative: string): string {
  const parts = base.split("/");
  for (const part of relative.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.length > 1 ? parts.join("/") : "/";
}

function checkRequiredSteps({ assertions }: StepSource, compiled: CompiledStep, refusals: Problems): void {
  if (!assertions) return;
  const required = assertions["required-steps"];
  const active = compiled.children.filter((child) => child.active).length;
  if (active === required) return;
  refusals.error(`${required} steps of this pipeline must run, but ${active} would`, assertions.at, {
    hint: "Check the conditions of its steps for this architecture.",
  });
}

/** All steps, those that do not run as well, each before its children. */
export function everyStep(steps: readonly CompiledStep[]): readonly CompiledStep[] {
  return steps.flatMap((step) => [step, ...everyStep(step.children)]);
}

/** What the steps need in the environment, depth first. */
export function neededPackages(steps: readonly CompiledStep[]): readonly string[] {
  return steps.flatMap((step) => (step.active ? [...step.needs, ...neededPackages(step.children)] : []));
}
