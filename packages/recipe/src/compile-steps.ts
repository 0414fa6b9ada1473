import { ConditionError, evaluateCondition, quoteForCondition } from "./condition.ts";
import { suggestVariable } from "./expand.ts";
import { limits, refuseBeyond } from "./limits.ts";
import { applyDefinition, type PipelineDefinitions } from "./pipeline-definitions.ts";
import type { InputSource, StepSource } from "./schema.ts";
import type { Place, Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import { growing, substituteText, substituteVariables, type Variables } from "./variables.ts";

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
  readonly environment: Variables;
  readonly needs: readonly string[];
  /** False when its condition is false: neither it nor its children run, nor are their needs met. */
  readonly active: boolean;
  readonly children: readonly CompiledStep[];
}

export interface StepScope {
  readonly variables: Variables;
  readonly definitions: PipelineDefinitions;
  readonly problems: Problems;
  /** How much the recipe has used up so far. */
  readonly spent: { steps: number; characters: number };
}

/** What a step takes over from its parent. */
interface Inherited {
  readonly path: string;
  readonly indices: readonly number[];
  readonly inputs: Variables;
  readonly workdir: string;
  readonly environment: Variables;
  /** Inside a used pipeline: the place of its `uses` in the recipe. */
  readonly place: Place | undefined;
  readonly using: readonly string[];
}

/** Compiles a pipeline list; `path` is where it stands: `subpackages[0]`, or empty for the main one. */
export function compileSteps(steps: readonly StepSource[], path: string, scope: StepScope): readonly CompiledStep[] {
  const root: Inherited = {
    path,
    indices: [],
    inputs: new Map(),
    workdir: workspace,
    environment: new Map(),
    place: undefined,
    using: [],
  };
  return steps.map((step, index) => compileStep(step, index, root, scope));
}

function compileStep(source: StepSource, index: number, inherited: Inherited, scope: StepScope): CompiledStep {
  const { problems, spent } = scope;
  const here = inherited.place ?? source.at;
  spent.steps += 1;
  if (spent.steps > limits.steps)
    refuseBeyond(`the recipe has more than ${limits.steps} steps with those of the pipelines it uses`, here, fewer);
  if (inherited.indices.length >= limits.depth)
    refuseBeyond(`pipelines lie more than ${limits.depth} deep in each other`, here, fewer);
  const definition = usedDefinition(source, inherited, scope);
  const step = definition ? applyDefinition(source, definition) : source;
  const outer = resolver(scope.variables, inherited.inputs);
  if (definition) checkArguments(source, definition, problems);
  const inputs = new Map([...inherited.inputs, ...resolveInputs(step, source.at, outer, problems)]);

  const resolve = resolver(scope.variables, inputs);
  const hint = suggestVariable([...scope.variables.keys(), ...[...inputs.keys()].map((name) => `inputs.${name}`)]);
  const fill = (text: Text) => {
    const filled = substituteText(text, resolve, problems, { hint });
    spent.characters += filled.length;
    if (spent.characters > limits.substitutedInAll)
      refuseBeyond("the recipe's texts grow beyond 64 MiB when their variables are substituted", here, fewer);
    return filled;
  };
  const path = `${inherited.path}${inherited.path === "" ? "" : "."}pipeline[${index}]`;
  const workdir = absolute(fill(step["working-directory"])) ?? inherited.workdir;
  const environment = new Map(inherited.environment);
  for (const [name, value] of step.environment) environment.set(name, value.value);
  const indices = [...inherited.indices, index];
  const below: Inherited = {
    path,
    indices,
    inputs,
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

const fewer = "Make several recipes of this one, or look for pipelines that use each other again and again.";

function resolver(variables: Variables, inputs: Variables): (name: string) => string | undefined {
  return (name) => (name.startsWith("inputs.") ? inputs.get(name.slice("inputs.".length)) : variables.get(name));
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

/** The step's inputs by name. Values come from `with`, else the default; both see the variables of the step's surroundings. */
function resolveInputs(
  step: StepSource,
  at: Place,
  outer: (name: string) => string | undefined,
  problems: Problems,
): Variables {
  const resolved = new Map<string, string>();
  for (const name of new Set([...step.inputs.keys(), ...step.with.keys()])) {
    const input = step.inputs.get(name);
    const given = step.with.get(name);
    const value = given && given.value !== "" ? given : (input?.default ?? given);
    if (!value) continue;
    checkInput(name, input, value, step, at, problems);
    resolved.set(name, substituteText(value, outer, problems));
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
