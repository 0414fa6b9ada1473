import ts from "typescript";

export interface Reference {
  /** The module as written, or the name of a global. */
  name: string;
  /** Counted from 1. */
  line: number;
}

export interface References {
  /** Modules by static, type-only, dynamic and re-exporting imports, `import("…")` types and `require`. */
  imports: readonly Reference[];
  /** Uses of `process.env` and of network globals. */
  globals: readonly Reference[];
}

const networkGlobals = new Set(["fetch", "WebSocket", "EventSource", "XMLHttpRequest"]);

/** The texts of string literals and templates, each with its line; of a template, what stands before, between and behind its values. */
export function readTexts(text: string): readonly Reference[] {
  const source = ts.createSourceFile("source.ts", text, ts.ScriptTarget.Latest, false);
  const found: Reference[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
      found.push({ name: node.text, line });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** What a source file refers to outside itself. */
export function readReferences(text: string): References {
  const source = ts.createSourceFile("source.ts", text, ts.ScriptTarget.Latest, false);
  const imports: Reference[] = [];
  const globals: Reference[] = [];
  const at = (node: ts.Node, name: string): Reference => ({
    name,
    line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1,
  });
  const visit = (node: ts.Node): void => {
    const module = moduleOf(node);
    if (module !== undefined && ts.isStringLiteralLike(module)) imports.push(at(node, module.text));
    const global = globalOf(node);
    if (global !== undefined) globals.push(at(node, global));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { imports, globals };
}

function moduleOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  if (!ts.isCallExpression(node)) return undefined;
  const dynamic = node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const required = ts.isIdentifier(node.expression) && node.expression.text === "require";
  return dynamic || required ? node.arguments[0] : undefined;
}

function globalOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
    if (node.expression.text === "process" && node.name.text === "env") return "process.env";
  }
  if ((ts.isCallExpression(node) || ts.isNewExpression(node)) && ts.isIdentifier(node.expression)) {
    if (networkGlobals.has(node.expression.text)) return node.expression.text;
  }
  return undefined;
}
