import { dirname, sep } from "node:path";
import ts from "typescript";

const options: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  // Only the package's own names count, so the standard library need not be read.
  noLib: true,
  types: [],
};

/**
 * The public surface of a built entry as text: every exported name with its declarations, then what these mention of the package's own
 * that is not exported itself. Sorted by name and printed anew without comments, so that it changes only when the surface does.
 */
export function describeSurface(declarations: string): string {
  const program = ts.createProgram([declarations], options);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(declarations);
  const module = file && checker.getSymbolAtLocation(file);
  if (module === undefined) throw new Error(`${declarations} is no module`);
  const resolved = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const own = (node: ts.Node): boolean =>
    node.getSourceFile().fileName.startsWith(dirname(declarations).split(sep).join("/"));
  const exported = new Map(checker.getExportsOfModule(module).map((symbol) => [symbol.name, resolved(symbol)]));
  const mentioned = collectMentioned([...exported.values()], checker, resolved, own);
  const sections = [...exported].sort(byName).map(([name, symbol]) => describe(name, symbol, own));
  const inner = [...mentioned].map((symbol): [string, ts.Symbol] => [symbol.name, symbol]).sort(byName);
  const rest = inner.map(([name, symbol]) => `// not exported\n${describe(name, symbol, own)}`);
  return `${[...sections, ...rest].join("\n\n")}\n`;
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);

function describe(name: string, symbol: ts.Symbol, own: (node: ts.Node) => boolean): string {
  const declarations = (symbol.declarations ?? []).filter(own).map(statementOf);
  if (declarations.length === 0) return `export { ${name} } from elsewhere`;
  const head = symbol.name === name ? [] : [`// ${symbol.name}, exported as ${name}`];
  return [...head, ...declarations.map(print)].join("\n");
}

/** A variable's declaration says `const` only two nodes up. */
function statementOf(declaration: ts.Declaration): ts.Node {
  return ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
}

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed });

function print(node: ts.Node): string {
  const text = printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile());
  return text.replace(/^(export |declare )+/, "");
}

/** The symbols of the package's own that the declarations of `from` lead to, directly or through each other. */
function collectMentioned(
  from: readonly ts.Symbol[],
  checker: ts.TypeChecker,
  resolved: (symbol: ts.Symbol) => ts.Symbol,
  own: (node: ts.Node) => boolean,
): Set<ts.Symbol> {
  const found = new Set<ts.Symbol>();
  const seen = new Set<ts.Symbol>(from);
  const waiting = [...from];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const local = checker.getSymbolAtLocation(node);
      const symbol = local && resolved(local);
      if (symbol && !seen.has(symbol) && symbol.declarations?.some((each) => own(each) && isTopLevel(each))) {
        seen.add(symbol);
        found.add(symbol);
        waiting.push(symbol);
      }
    }
    ts.forEachChild(node, visit);
  };
  for (let symbol = waiting.pop(); symbol !== undefined; symbol = waiting.pop()) {
    for (const declaration of symbol.declarations ?? []) if (own(declaration)) visit(declaration);
  }
  return found;
}

const isTopLevel = (declaration: ts.Declaration): boolean =>
  statementOf(declaration).parent.kind === ts.SyntaxKind.SourceFile;
