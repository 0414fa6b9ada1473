/** What a recipe's step can be. */
export const kinds = ["plain", "environment", "directory", "nested", "uses", "deletion", "subpackage"] as const;
export type Kind = (typeof kinds)[number];

/** Files of the workspace by path, directories with an empty content and a slash at the end. */
type Tree = Readonly<Record<string, string>>;

interface StepOfAKind {
  readonly kind: Kind | "before nested";
  readonly script: string;
  readonly after: (tree: Tree) => Tree;
  readonly workdir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const home = "/home/build";
const blue = { COLOUR: "dark blue, it's" };

const steps: readonly StepOfAKind[] = [
  {
    kind: "plain",
    script: "id -u > plain; mkdir -p doomed/deep; echo x > doomed/deep/file; echo x > doomed-file",
    after: (tree) => ({
      ...tree,
      plain: "1000\n",
      "doomed/": "",
      "doomed/deep/": "",
      "doomed/deep/file": "x\n",
      "doomed-file": "x\n",
    }),
  },
  {
    kind: "environment",
    script: 'echo "$COLOUR" > environment',
    env: blue,
    after: (tree) => ({ ...tree, environment: `${blue.COLOUR}\n` }),
  },
  {
    kind: "directory",
    script: "pwd > directory",
    workdir: `${home}/sub/dir`,
    after: (tree) => ({ ...tree, "sub/": "", "sub/dir/": "", "sub/dir/directory": `${home}/sub/dir\n` }),
  },
  {
    kind: "before nested",
    script: "echo 1 > outer",
    workdir: `${home}/sub`,
    env: blue,
    after: (tree) => ({ ...tree, "sub/outer": "1\n" }),
  },
  {
    kind: "nested",
    script: 'cat outer > inner; echo "$COLOUR $MORE" >> inner',
    workdir: `${home}/sub`,
    env: { ...blue, MORE: "or less" },
    after: (tree) => ({ ...tree, "sub/inner": `1\n${blue.COLOUR} or less\n` }),
  },
  { kind: "uses", script: "echo $TEXT > used", after: (tree) => ({ ...tree, used: "with an input\n" }) },
  {
    kind: "deletion",
    script: "rm -r doomed doomed-file",
    after: (tree) => Object.fromEntries(Object.entries(tree).filter(([path]) => !path.startsWith("doomed"))),
  },
  {
    kind: "subpackage",
    script: "mkdir melange-out/every-kind-doc/usr; echo doc > melange-out/every-kind-doc/usr/doc",
    after: (tree) => ({
      ...tree,
      "melange-out/every-kind-doc/": "",
      "melange-out/every-kind-doc/usr/": "",
      "melange-out/every-kind-doc/usr/doc": "doc\n",
    }),
  },
];

const paths: Readonly<Record<Kind, string>> = {
  plain: "pipeline[0]",
  environment: "pipeline[1]",
  directory: "pipeline[2]",
  nested: "pipeline[3].pipeline[1]",
  uses: "pipeline[4].pipeline[0]",
  deletion: "pipeline[5]",
  subpackage: "subpackages[0].pipeline[0]",
};

/** A recipe of ours with a step of each kind, one of which does its work, leaves a file, deletes another, and fails with 7. */
export function everyKind(broken: Kind) {
  const at = steps.findIndex(({ kind }) => kind === broken);
  const script = (kind: StepOfAKind["kind"]) => {
    const { script } = steps.find((step) => step.kind === kind) as StepOfAKind;
    const count = `echo ${kind} >> /var/cache/melange/runs`;
    return `${count}\n${script}\n${kind === broken ? `echo half > ${home}/half; rm ${home}/keepsake; exit 7` : ""}`;
  };
  const uses = script("uses").replace("$TEXT", () => `$\{{inputs.text}}`);
  const recipe = {
    package: { name: "every-kind", version: "1.0", epoch: 0, description: "Ours, for tests" },
    environment: {
      accounts: {
        groups: [{ groupname: "builder", gid: 1000 }],
        users: [{ username: "builder", uid: 1000, gid: 1000 }],
        "run-as": "builder",
      },
    },
    pipeline: [
      { runs: script("plain") },
      { runs: script("environment"), environment: blue },
      { runs: script("directory"), "working-directory": "sub/dir" },
      {
        name: "nested",
        "working-directory": "sub",
        environment: blue,
        pipeline: [{ runs: script("before nested") }, { runs: script("nested"), environment: { MORE: "or less" } }],
      },
      { uses: "ours/write", with: { text: "with an input" } },
      { runs: script("deletion") },
    ],
    subpackages: [{ name: "every-kind-doc", pipeline: [{ runs: script("subpackage") }] }],
  };
  const pipeline = { name: "Writes a text", inputs: { text: { required: true } }, pipeline: [{ runs: uses }] };

  const source: Tree = { keepsake: "kept\n", "every-kind.yaml": JSON.stringify(recipe) };
  const outputs = { "melange-out/": "", "melange-out/every-kind/": "" };
  const before = steps.slice(0, at).reduce((tree, step) => step.after(tree), { ...source, ...outputs } as Tree);
  const { keepsake: _, ...left } = (steps[at] as StepOfAKind).after(before);
  return {
    /** What lies in the recipe's folder. */
    source,
    /** `ours/write.yaml` of the pipeline directory. */
    pipeline: JSON.stringify(pipeline),
    /** The workspace as it is before the failing step, and as that leaves it. */
    before,
    atFailure: { ...left, half: "half\n" } as Tree,
    /** The steps that run before the failing one, as the counter in the cache directory names them, and that one. */
    runs: steps.slice(0, at).map(({ kind }) => kind),
    path: paths[broken],
    workdir: steps[at]?.workdir ?? home,
    env: steps[at]?.env ?? {},
  };
}
