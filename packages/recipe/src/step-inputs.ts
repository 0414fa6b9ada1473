import type { InputSource, StepSource } from "./schema.ts";
import type { Place, Problems, Text } from "./source.ts";
import { closest } from "./spelling.ts";
import { layered, refuseDeepReferences, substituteText, type Variables } from "./variables.ts";

/** Reports arguments that the used pipeline does not declare. */
export function checkArguments(step: StepSource, definition: StepSource, problems: Problems): void {
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

/**
 * The step's inputs: `inputs.NAME`, from `with`, else from the default. An argument sees the variables around the step, so that
 * `x: ${{inputs.x}}` hands on the value of the pipeline around it, and then the other inputs of the step. A default sees the
 * inputs of its own pipeline first. The order of the inputs does not matter; inputs that refer to each other in a circle are
 * reported.
 */
export function resolveInputs(
  step: StepSource,
  at: Place,
  outer: Variables,
  problems: Problems,
): ReadonlyMap<string, string> {
  const resolved = new Map<string, string>();
  if (step.inputs.size === 0 && step.with.size === 0) return resolved;
  const names = new Set([...step.inputs.keys(), ...step.with.keys()]);
  const open: string[] = [];

  function own(variable: string): string | undefined {
    const name = variable.startsWith("inputs.") ? variable.slice("inputs.".length) : undefined;
    if (name === undefined || !names.has(name)) return undefined;
    const known = resolved.get(variable);
    if (known !== undefined) return known;
    const given = step.with.get(name);
    const isArgument = given !== undefined && given.value !== "";
    const text = isArgument ? given : (step.inputs.get(name)?.default ?? given);
    if (!text) return undefined;
    if (open.includes(name)) {
      problems.error(`the input "${name}" refers to itself: ${[...open, name].join(" → ")}`, text.place);
      return "";
    }
    refuseDeepReferences(open.length, text.place);
    open.push(name);
    let complete = true;
    const value = substituteText(text, isArgument ? argumentScope : defaultScope(variable), problems, {
      onBad: () => {
        complete = false;
      },
    });
    open.pop();
    // What was reported here is not reported again wherever the input is used.
    resolved.set(variable, complete ? value : "");
    return resolved.get(variable);
  }
  const argumentScope: Pick<Variables, "get"> = { get: (name) => outer.get(name) ?? own(name) };
  const defaultScope = (variable: string): Pick<Variables, "get"> => ({
    // A default that names its own input means that of the pipeline around it.
    get: (name) => (name === variable ? outer.get(name) : undefined) ?? own(name) ?? outer.get(name),
  });

  for (const name of names) {
    checkInput(name, step, at, problems);
    own(`inputs.${name}`);
  }
  return resolved;
}

/** The inputs whose value is not the text of their default: what a compiled recipe keeps of `with`. */
export function keptArguments(step: StepSource, inputs: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const kept = new Map<string, string>();
  for (const [variable, value] of inputs) {
    const name = variable.slice("inputs.".length);
    if (value !== (step.inputs.get(name)?.default.value ?? "")) kept.set(name, value);
  }
  return kept;
}

/** A step's variables: its inputs over those of its surroundings. */
export function withInputs(outer: Variables, inputs: ReadonlyMap<string, string>): Variables {
  return inputs.size === 0 ? outer : layered(outer, inputs);
}

const hexDigits: Readonly<Record<string, number>> = {
  "expected-sha256": 64,
  "expected-sha512": 128,
  "expected-commit": 40,
};

function checkInput(name: string, step: StepSource, at: Place, problems: Problems): void {
  const input = step.inputs.get(name);
  if (!input) return;
  const given = step.with.get(name);
  const value = given && given.value !== "" ? given : input.default;
  if (value.value === "") {
    if (input.required) reportMissing(name, input, step.uses, at, problems);
    return;
  }
  const digits = hexDigits[name];
  if (digits !== undefined && !new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(value.value)) {
    problems.error(`${name} must be ${digits} hexadecimal digits, not "${value.value}"`, value.place, {
      hint: "It is written out: variables are not allowed here.",
    });
  }
}

function reportMissing(name: string, input: InputSource, uses: Text, at: Place, problems: Problems): void {
  const what = uses.value === "" ? "the step" : `"${uses.value}"`;
  problems.error(`${what} needs the input "${name}"`, at, {
    hint: input.description.value ? `${name}: ${input.description.value.trim()}` : 'Set it in "with".',
  });
}
