import { ConditionError, evaluateCondition, quoteForCondition } from "./condition.ts";
import { suggestVariable } from "./expand.ts";
import { type Budget, limits, refuseBeyond } from "./limits.ts";
import { applyDefinition, type PipelineDefinitions } from "./pipeline-definitions.ts";
import type { InputSource, StepSource } from "./schema.ts";
import type { Place, Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import { growing, layered, substituteText, substituteVariables, type Variables } from "./variables.ts";

export const workspace = "/home/build";

/** A step with everything substituted; a tree as in the recipe, with the content of used pipelines as children. */
export interface CompiledStep {
  /** `pipeline[2].pipeline[1]`. */
  readonly path: string;
  /** The step's place in its list and those of its ancestors in theirs: `[2, 1]`. */
  readonly indices: readonly number[];
  /** Its place in the recipe; below a `uses`, the place of that. */
  readonly place: Place;
  readonly name: string;
  /** What the step uses; for the content of a used pipeline, that pipeline. */
  readonly uses: string;
  readonly fragment: string;
  /** Where the fragment is written. */
  readonly fragmentPlace: Place;
  /** Absolute. */
  readonly workdir: string;
  /** Its own and its ancestors'. */
  readonly environment: ReadonlyMap<string, string>;
  readonly needs: readonly string[];
  /** False when its condition is false: neither it nor its children run, nor are their needs met. */
  readonly active: boolean;
  readonly children: readonly CompiledStep[];
}

export interface StepScope {
  readonly variables: Variables;
  readonly definitions: PipelineDefinitions;
  readonly problems: Problems;
  readonly budget: Budget;
}

/** What a step takes over from its parent. */
interface Inherited {
  readonly path: string;
  readonly indices: readonly number[];
  /** Those of the pipeline, with the inputs of what is used around the step. */
  readonly variables: Variables;
  readonly workdir: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Inside a used pipeline: the place of its `uses` in the recipe. */
  readonly place: Place | undefined;
  readonly using: readonly string[];
}

/** Compiles a pipeline list; `path` is where it stands: `subpackages[0]`, or empty for the main one. */
export function compileSteps(steps: readonly StepSource[], path: string, scope: StepScope): readonly CompiledStep[] {
  const root: Inherited = {
    path,
    indices: [],
    variables: scope.variables,
    workdir: workspace,
    environment: new Map(),
    place: undefined,
    using: [],
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
  const variables = inputs.size === 0 ? inherited.variables : layered(inherited.variables, inputs);

  const resolve = (name: string) => variables.get(name);
  const hint = suggestVariable(variables);
  const fill = (text: Text) => {
    const filled = substituteText(text, resolve, problems, { hint });
    budget.characters(filled.length, here);
    return filled;
  };
  const path = `${inherited.path}${inherited.path === "" ? "" : "."}pipeline[${index}]`;
  const workdir = absolute(fill(step["working-directory"])) ?? inherited.workdir;
  const environment = surroundings(step, inherited.environment);
  // Steps without variables of their own share those of their parent.
  budget.values(inputs.size + (step.environment.size === 0 ? 0 : environment.size) + step.needs.packages.length, here);
  const indices = [...inherited.indices, index];
  const below: Inherited = {
    path,
    indices,
    variables,
    workdir,
    environment,
    place: inherited.place ?? (definition ? source.at : undefined),
    using: definition ? [...inherited.using, source.uses.value] : inherited.using,
  };

  const compiled: CompiledStep = {
    path,
    indices,
    place: here,
    name: growing(step.name, () => substituteVariables(step.name.value, resolve, () => {})),
    uses: step.uses.value || (inherited.using.at(-1) ?? ""),
    fragment: fill(step.runs),
    fragmentPlace: step.runs.place,
    workdir,
    environment,
    needs: step.needs.packages.map(fill),
    active: isActive(step.if, resolve, hint, problems),
    children: step.pipeline.map((child, position) => compileStep(child, position, below, scope)),
  };
  checkRequiredSteps(step, compiled, problems);
  return compiled;
}

function surroundings(step: StepSource, inherited: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (step.environment.size === 0) return inherited;
  return new Map([...inherited, ...[...step.environment].map(([name, { value }]) => [name, value] as const)]);
}

function usedDefinition(step: StepSource, inherited: Inherited, scope: StepScope): StepSource | undefined {
  const uses = step.uses.value;
  if (uses === "") return undefined;
  if (step.pipeline.length > 0) {
    // A recipe that melange has compiled already looks like this.
    scope.problems.warn(`the step has a pipeline of its own, so "${uses}" is not loaded`, step.uses.place);
    return undefined;
  }
  if (inherited.using.includes(uses)) {
    scope.problems.error(
      `the pipeline "${uses}" uses itself: ${[...inherited.using, uses].join(" → ")}`,
      step.uses.place,
    );
    return undefined;
  }
  return scope.definitions.get(step.uses);
}

function checkArguments(step: StepSource, definition: StepSource, problems: Problems): void {
  const declared = new Map([...step.inputs, ...definition.inputs]);
  for (const [name, value] of step.with) {
    if (declared.has(name)) continue;
    const meant = closest(name, [...declared.keys()]);
    const known = declared.size > 0 ? `Its inputs: ${[...declared.keys()].join(", ")}.` : "It has no inputs.";
    problems.error(`"${step.uses.value}" has no input "${name}"`, value.place, {
      hint: meant ? `Did you mean "${meant}"?` : known,
    });
  }
}

/** The step's inputs: `inputs.NAME`. Values come from `with`, else the default; both see the variables of the step's surroundings. */
function resolveInputs(step: StepSource, at: Place, outer: Variables, problems: Problems): ReadonlyMap<string, string> {
  const resolved = new Map<string, string>();
  for (const name of new Set([...step.inputs.keys(), ...step.with.keys()])) {
    const input = step.inputs.get(name);
    const given = step.with.get(name);
    const value = given && given.value !== "" ? given : (input?.default ?? given);
    if (!value) continue;
    checkInput(name, input, value, step, at, problems);
    resolved.set(
      `inputs.${name}`,
      substituteText(value, (each) => outer.get(each), problems),
    );
  }
  return resolved;
}

const hexDigits: Readonly<Record<string, number>> = {
  "expected-sha256": 64,
  "expected-sha512": 128,
  "expected-commit": 40,
};

function checkInput(
  name: string,
  input: InputSource | undefined,
  value: Text,
  step: StepSource,
  at: Place,
  problems: Problems,
): void {
  if (value.value === "") {
    if (input?.required) {
      problems.error(`"${step.uses.value}" needs the input "${name}"`, at, {
        hint: input.description.value ? `${name}: ${input.description.value.trim()}` : `Set it in "with".`,
      });
    }
    return;
  }
  const digits = hexDigits[name];
  if (input && digits !== undefined && !new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(value.value)) {
    problems.error(`${name} must be ${digits} hexadecimal digits, not "${value.value}"`, value.place, {
      hint: "It is written out: variables are not allowed here.",
    });
  }
}

function isActive(
  condition: Text,
  resolve: (name: string) => string | undefined,
  hint: (name: string) => string | undefined,
  problems: Problems,
): boolean {
  if (condition.value === "") return true;
  let complete = true;
  const onBad = () => {
    complete = false;
  };
  const expression = substituteText(condition, resolve, problems, { quote: quoteForCondition, hint, onBad });
  return !complete || checkedCondition(expression, condition, problems);
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

function checkRequiredSteps(step: StepSource, compiled: CompiledStep, problems: Problems): void {
  const required = step.assertions["required-steps"];
  if (required <= 0 || !compiled.active) return;
  const active = compiled.children.filter((child) => child.active).length;
  if (active !== required) {
    problems.error(`${required} steps of this pipeline must run, but ${active} would`, step.assertions.at, {
      hint: "Check the conditions of its steps for this architecture.",
    });
  }
}

/** All steps, those that do not run as well, each before its children. */
export function everyStep(steps: readonly CompiledStep[]): readonly CompiledStep[] {
  return steps.flatMap((step) => [step, ...everyStep(step.children)]);
}

/** What the steps need in the environment, depth first. */
export function neededPackages(steps: readonly CompiledStep[]): readonly string[] {
  return steps.flatMap((step) => (step.active ? [...step.needs, ...neededPackages(step.children)] : []));
}
