import { basename } from 'node:path';
import ts from 'typescript';
import { type Finding, type Sources, finder, walk } from './sources.ts';

const K = ts.SyntaxKind;

/**
 * What a file of src/operations may use: the little that reads the same in TypeScript and in the Lua that it is
 * compiled to. A list of what is allowed, not of what is forbidden: what nobody thought of is refused.
 */
const allowed: ReadonlySet<ts.SyntaxKind> = new Set([
  // The shape of a file
  K.SourceFile,
  K.EndOfFileToken,
  K.ImportDeclaration,
  K.FunctionDeclaration,
  K.MethodDeclaration,
  K.Parameter,
  K.VariableStatement,
  K.VariableDeclarationList,
  K.VariableDeclaration,
  K.ExportKeyword,
  // Statements
  K.Block,
  K.IfStatement,
  K.ForStatement,
  K.ForOfStatement,
  K.ReturnStatement,
  K.ExpressionStatement,
  K.BreakStatement,
  // Expressions
  K.Identifier,
  K.StringLiteral,
  K.NoSubstitutionTemplateLiteral,
  K.NumericLiteral,
  K.TrueKeyword,
  K.FalseKeyword,
  K.ArrayLiteralExpression,
  K.ObjectLiteralExpression,
  K.PropertyAssignment,
  K.ShorthandPropertyAssignment,
  K.PropertyAccessExpression,
  K.ElementAccessExpression,
  K.CallExpression,
  K.ParenthesizedExpression,
  K.NonNullExpression,
  K.ConditionalExpression,
  K.BinaryExpression,
  K.PrefixUnaryExpression,
  K.PostfixUnaryExpression,
  K.TemplateExpression,
  K.TemplateHead,
  K.TemplateSpan,
  K.TemplateMiddle,
  K.TemplateTail,
]);

/** What to say to the slips that people really make; anything else gets a general text. */
const advice: Partial<Record<ts.SyntaxKind, string>> = {
  [K.RegularExpressionLiteral]: 'a regular expression: use tx.part, tx.startsWith, or add a verb to Tx',
  [K.ClassDeclaration]: 'a class: an operation is a function over Tx',
  [K.ClassExpression]: 'a class: an operation is a function over Tx',
  [K.AsyncKeyword]: 'async: an operation is one step and never waits',
  [K.AwaitExpression]: 'await: an operation is one step and never waits',
  [K.ArrowFunction]: 'a closure: write a loop, or a function of the file that gets what it needs as arguments',
  [K.FunctionExpression]: 'a closure: write a loop, or a function of the file that gets what it needs as arguments',
  [K.NullKeyword]: 'null: use undefined, Lua has one nil',
  [K.WhileStatement]: 'while: write for with a bound, the rest is left for the next call',
  [K.DoStatement]: 'do: write for with a bound, the rest is left for the next call',
  [K.ForInStatement]: 'for … in: the order of a Lua table is not ours; use for … of over an array',
  [K.SpreadElement]: 'a spread: needs library code in Lua; push one by one',
  [K.SpreadAssignment]: 'a spread: needs library code in Lua; name the fields',
  [K.ArrayBindingPattern]: 'destructuring: write array[0]',
  [K.ObjectBindingPattern]: 'destructuring: write keys.name',
  [K.ThrowStatement]: 'throw: say it in the reply, the primitive makes the error',
  [K.TryStatement]: 'try: an operation has nothing to catch',
  [K.NewExpression]: 'new: in and out go strings, integers and flat arrays',
  [K.ThisKeyword]: 'this: everything comes in as an argument',
  [K.AsExpression]: 'as: an operation needs no cast, and a wrong one is silent in Lua',
  [K.AnyKeyword]: 'any: an operation is fully typed',
  [K.TypeOfExpression]: 'typeof: types are known, compare with undefined',
  [K.DeleteExpression]: 'delete: state is changed through tx only',
  [K.BigIntLiteral]: 'a bigint: integers below 2^53 only',
  [K.ContinueStatement]: 'continue: turn the condition around',
  [K.SwitchStatement]: 'switch: write if',
};

const comparisons: ReadonlySet<ts.SyntaxKind> = new Set([
  K.LessThanToken,
  K.LessThanEqualsToken,
  K.GreaterThanToken,
  K.GreaterThanEqualsToken,
]);
const sums: ReadonlySet<ts.SyntaxKind> = new Set([K.PlusToken, K.PlusEqualsToken]);
const operators: ReadonlySet<ts.SyntaxKind> = new Set([
  ...comparisons,
  ...sums,
  K.EqualsEqualsEqualsToken,
  K.ExclamationEqualsEqualsToken,
  K.AmpersandAmpersandToken,
  K.BarBarToken,
  K.QuestionQuestionToken,
  K.MinusToken,
  K.AsteriskToken,
  K.SlashToken,
  K.EqualsToken,
  K.MinusEqualsToken,
]);

const mathMembers: ReadonlySet<string> = new Set(['max', 'min', 'floor']);
const numberMembers: ReadonlySet<string> = new Set(['MAX_SAFE_INTEGER', 'MIN_SAFE_INTEGER']);
const arrayMembers: ReadonlySet<string> = new Set(['length', 'push']);

/** Verbs that leave the store as it is; every other one writes. */
const reading: ReadonlySet<string> = new Set([
  'nowUs',
  'exists',
  'existsEither',
  'existsAny',
  'type',
  'pttl',
  'within',
  'get',
  'hget',
  'hmget',
  'hmgetWithin',
  'hexists',
  'hlen',
  'hvals',
  'hgetall',
  'llen',
  'lrange',
  'sunion',
  'sinter',
  'sdiff',
  'sismember',
  'scard',
  'zscore',
  'zcard',
  'zrange',
  'zrangeWithScores',
  'zrank',
  'zcount',
  'zrangeByScore',
  'zrangeByScoreWithScores',
  'zrevrangeByScoreWithScores',
  'zrevrangeByScore',
  'zbefore',
  'text',
  'integer',
  'decimal',
  'number',
  'part',
  'rest',
  'firstPart',
  'startsWith',
  'isSmaller',
  'sha1hex',
]);

type Find = ReturnType<typeof finder>;

/** Whether operations use only what they may, say where their keys come from, and are named as the engines expect. */
export function checkOperations({ files, checker, path }: Sources): Finding[] {
  const found: Finding[] = [];
  for (const file of files) {
    const own = path(file);
    if (!own.startsWith('src/operations/')) continue;
    const find = finder(found, own);
    if (!file.text.startsWith('/**')) find(file, 'open the file with its key layout and its invariants: /** … */');
    if (/@ts-|oxlint-|eslint-/.test(file.text))
      find(file, 'a rule is switched off here: operations have no exceptions');
    if (own.endsWith('/tx.ts')) checkVocabulary(file, find);
    else checkFile(file, checker, find);
  }
  return found;
}

/** tx.ts is types only: it compiles to nothing. */
function checkVocabulary(file: ts.SourceFile, find: Find): void {
  for (const statement of file.statements) {
    if (!isType(statement)) find(statement, 'tx.ts holds types only: what runs belongs to an operation or an engine');
  }
}

function checkFile(file: ts.SourceFile, checker: ts.TypeChecker, find: Find): void {
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) checkImport(statement, find);
    else if (ts.isVariableStatement(statement)) checkTopLevel(statement, checker, find);
    else if (!ts.isFunctionDeclaration(statement) && !isType(statement)) {
      find(statement, 'a file of operations holds types, functions and operations only');
    }
  }
  checkNodes(file, checker, find);
}

function checkImport(node: ts.ImportDeclaration, find: Find): void {
  const from = ts.isStringLiteral(node.moduleSpecifier) ? node.moduleSpecifier.text : '';
  const typeOnly = node.importClause?.phaseModifier === K.TypeKeyword;
  if (from === './tx.ts' ? !typeOnly : !/^\.\/[\w-]+\.ts$/.test(from)) {
    find(node, `imports ${from}: an operation imports types of ./tx.ts (import type), and steps of files beside it`);
  }
  const names = node.importClause?.namedBindings;
  if (names === undefined || !ts.isNamedImports(names) || names.elements.some((each) => each.propertyName)) {
    find(node, `imports ${from}: by the names that its parts have there, as a script is one scope`);
  }
}

/** An operation, or a constant. */
function checkTopLevel(statement: ts.VariableStatement, checker: ts.TypeChecker, find: Find): void {
  if ((statement.declarationList.flags & ts.NodeFlags.Const) === 0) {
    find(statement, 'state outside of the store: const only, what changes is kept through tx');
  }
  for (const declaration of statement.declarationList.declarations) {
    const { initializer, name } = declaration;
    if (initializer === undefined || ts.isNumericLiteral(initializer) || ts.isStringLiteral(initializer)) continue;
    const type = declaration.type?.getText() ?? '';
    if (!ts.isObjectLiteralExpression(initializer) || !/^(Batch)?Operation</.test(type)) {
      find(declaration, 'a constant is a number or a text, an operation is typed Operation<…> or BatchOperation<…>');
      continue;
    }
    checkOperation(initializer, name.getText(), checker, find);
  }
}

function checkOperation(
  operation: ts.ObjectLiteralExpression,
  name: string,
  checker: ts.TypeChecker,
  find: Find,
): void {
  const full = `${basename(operation.getSourceFile().fileName, '.ts')}.${name}`;
  const given = property(operation, 'name')?.getText();
  if (given !== `'${full}'`) find(operation, `the operation's name is ${given ?? 'missing'}: it must be '${full}'`);
  const step = operation.properties.find((member) => member.name?.getText() === 'step');
  if (step === undefined || !ts.isMethodDeclaration(step))
    return find(operation, 'step is written step(tx, keys, ask) {');
  const writes = firstWrite(step, checker, new Set());
  const readOnly = property(operation, 'readOnly') !== undefined;
  if (readOnly && writes !== undefined)
    find(writes, `${full} is readOnly, and writes here: an engine runs it without its lock`);
  if (!readOnly && writes === undefined) find(operation, `${full} only reads: say readOnly: true`);
}

function property(object: ts.ObjectLiteralExpression, name: string): ts.Expression | undefined {
  const member = object.properties.find((candidate) => candidate.name?.getText() === name);
  return member !== undefined && ts.isPropertyAssignment(member) ? member.initializer : undefined;
}

/** The first verb that writes in a function or in one that it calls. */
function firstWrite(node: ts.Node, checker: ts.TypeChecker, seen: Set<ts.Node>): ts.Node | undefined {
  if (seen.has(node)) return undefined;
  seen.add(node);
  for (const call of walk(node)) {
    if (!ts.isCallExpression(call)) continue;
    const verb = verbOf(call, checker);
    if (verb !== undefined && !reading.has(verb)) return call;
    const target = checker.getResolvedSignature(call)?.declaration;
    if (target === undefined || !ts.isFunctionDeclaration(target)) continue;
    const inner = firstWrite(target, checker, seen);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function checkNodes(file: ts.SourceFile, checker: ts.TypeChecker, find: Find): void {
  const visit = (node: ts.Node): void => {
    if (isType(node) || ts.isTypeNode(node) || ts.isImportDeclaration(node)) {
      for (const inner of walk(node)) if (inner.kind === K.AnyKeyword) find(inner, advice[K.AnyKeyword] ?? '');
      return;
    }
    checkNode(node, checker, find);
    ts.forEachChild(node, visit);
  };
  visit(file);
}

function checkNode(node: ts.Node, checker: ts.TypeChecker, find: Find): void {
  const known = advice[node.kind];
  if (known !== undefined) return find(node, known);
  if (isPunctuation(node)) return;
  if (!allowed.has(node.kind)) return find(node, `${K[node.kind]} is not part of what operations are written in`);
  if (ts.isIdentifier(node)) checkName(node, checker, find);
  if (ts.isNumericLiteral(node) && !Number.isSafeInteger(Number(node.text.replaceAll('_', '')))) {
    find(node, 'integers below 2^53 only: a fraction is text, and computed by a verb of the store');
  }
  if (ts.isPropertyAccessExpression(node)) checkMember(node, checker, find);
  if (ts.isElementAccessExpression(node)) checkElement(node, checker, find);
  if (ts.isCallExpression(node)) checkCall(node, checker, find);
  if (ts.isBinaryExpression(node)) checkBinary(node, checker, find);
  if (ts.isTemplateSpan(node) && !isAll(typeOf(node.expression, checker), ts.TypeFlags.StringLike)) {
    find(node.expression, 'a template makes text of what is no string: use tx.text (Lua prints 1e+15)');
  }
  if (ts.isArrayLiteralExpression(node)) {
    for (const element of node.elements) checkElementValue(element, checker, find);
  }
  checkCondition(node, checker, find);
  checkLoop(node, find);
}

/** Signs and keywords that belong to a node which is looked at itself. */
function isPunctuation(node: ts.Node): boolean {
  if (ts.isToken(node) && node.kind >= K.FirstPunctuation && node.kind <= K.LastPunctuation) return true;
  return node.kind === K.QuestionToken || node.kind === K.ColonToken;
}

/** Names come from the file itself: parameters, variables, functions; and from the language undefined, Math, Number. */
function checkName(node: ts.Identifier, checker: ts.TypeChecker, find: Find): void {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return; // checkMember
  if (ts.isPropertyAssignment(parent) && parent.name === node) return;
  if (ts.isMethodDeclaration(parent)) return;
  if (node.text === 'undefined' || node.text === 'Math' || node.text === 'Number') return;
  const declarations = checker.getSymbolAtLocation(node)?.declarations ?? [];
  if (declarations.some((declaration) => declaration.getSourceFile() === node.getSourceFile())) return;
  find(node, `${node.text}: nothing from outside of the step; time is tx.nowUs(), ids come in as arguments`);
}

function checkMember(node: ts.PropertyAccessExpression, checker: ts.TypeChecker, find: Find): void {
  const name = node.name.text;
  const object = node.expression.getText();
  if (node.questionDotToken !== undefined) return find(node, '?. : compare with undefined');
  if (object === 'Math') {
    if (!mathMembers.has(name)) find(node, `Math.${name}: only Math.max, Math.min and Math.floor are the same in Lua`);
    return;
  }
  if (object === 'Number') {
    if (!numberMembers.has(name)) find(node, `Number.${name}: use tx.integer and tx.text, and compare with undefined`);
    return;
  }
  const type = typeOf(node.expression, checker);
  if (isAny(type, ts.TypeFlags.StringLike)) {
    find(
      node,
      `.${name} of a text: Lua counts bytes, JavaScript UTF-16; use tx.part, tx.startsWith, or add a verb to Tx`,
    );
  } else if (isAny(type, ts.TypeFlags.NumberLike)) {
    find(node, `.${name} of a number: a number becomes text by tx.text`);
  } else if (isArray(type, checker)) {
    if (!arrayMembers.has(name))
      find(node, `.${name} of an array: needs library code in Lua; write a loop with length, [i] and push`);
  }
}

function checkElement(node: ts.ElementAccessExpression, checker: ts.TypeChecker, find: Find): void {
  if (node.questionDotToken !== undefined) find(node, '?.[ ]: compare with undefined');
  if (!isArray(typeOf(node.expression, checker), checker)) {
    find(node, 'only arrays are read by [ ]: a text is taken apart by tx.part, a field is read by its name');
  } else if (!isAll(typeOf(node.argumentExpression, checker), ts.TypeFlags.NumberLike)) {
    find(node, 'an array is read by a number');
  }
}

function checkCall(node: ts.CallExpression, checker: ts.TypeChecker, find: Find): void {
  const verb = verbOf(node, checker);
  if (verb !== undefined) return checkKey(node, checker, find);
  const callee = node.expression;
  if (ts.isPropertyAccessExpression(callee)) {
    if (callee.name.text === 'push') {
      for (const value of node.arguments) checkElementValue(value, checker, find, callee.expression);
    }
    return; // checkMember
  }
  const target = checker.getResolvedSignature(node)?.declaration;
  if (target === undefined || !ts.isFunctionDeclaration(target)) {
    find(
      node,
      `${callee.getText()}(): only verbs of tx and functions of the file are called; numbers and texts are turned by tx.text, tx.integer`,
    );
  }
}

/** `key` of a verb is one that the caller named: Cluster needs every key beforehand. */
function checkKey(node: ts.CallExpression, checker: ts.TypeChecker, find: Find): void {
  const [key] = node.arguments;
  const parameter = checker.getResolvedSignature(node)?.parameters[0]?.name;
  if (key === undefined || parameter !== 'key' || isNamedKey(key, checker)) return;
  find(key, `${key.getText()} is not a key that the caller named: no key is computed inside of an operation`);
}

function isNamedKey(key: ts.Expression, checker: ts.TypeChecker): boolean {
  if (ts.isNonNullExpression(key) || ts.isParenthesizedExpression(key)) return isNamedKey(key.expression, checker);
  if (ts.isPropertyAccessExpression(key)) return true;
  if (ts.isElementAccessExpression(key)) return key.expression.getText() === 'keys';
  if (!ts.isIdentifier(key)) return false;
  const declaration = checker.getSymbolAtLocation(key)?.valueDeclaration;
  if (declaration === undefined) return false;
  if (ts.isParameter(declaration)) return true;
  return (
    ts.isVariableDeclaration(declaration) &&
    declaration.initializer !== undefined &&
    isNamedKey(declaration.initializer, checker)
  );
}

function checkBinary(node: ts.BinaryExpression, checker: ts.TypeChecker, find: Find): void {
  const operator = node.operatorToken;
  if (!operators.has(operator.kind)) return find(node, `${operator.getText()} is not the same in Lua, or not there`);
  const left = typeOf(node.left, checker);
  const right = typeOf(node.right, checker);
  const all = (flags: ts.TypeFlags) => isAll(left, flags) && isAll(right, flags);
  if (sums.has(operator.kind) && !all(ts.TypeFlags.NumberLike) && !all(ts.TypeFlags.StringLike)) {
    find(node, 'adds a text and a number: a number becomes text by tx.text');
  }
  if (comparisons.has(operator.kind) && !all(ts.TypeFlags.NumberLike)) {
    find(node, 'orders what is no number: the order of texts differs in Lua');
  }
  if (operator.kind === K.SlashToken && !isFloored(node)) find(node, '/ makes fractions: Math.floor(a / b)');
  if (operator.kind === K.EqualsToken && !ts.isIdentifier(node.left)) checkPlace(node, checker, find);
}

/** An element of an array that the operation made, by the name of that array, may be replaced: keys and args are readonly. */
function checkPlace({ left, right }: ts.BinaryExpression, checker: ts.TypeChecker, find: Find): void {
  const isElement = ts.isElementAccessExpression(left) && ts.isIdentifier(left.expression);
  if (isElement && checker.isArrayType(typeOf(left.expression, checker)))
    return checkElementValue(right, checker, find, left.expression);
  find(left, 'changes an argument in place: state is changed through tx, and in arrays of the operation itself');
}

function isFloored(node: ts.Node): boolean {
  const { parent } = node;
  if (ts.isParenthesizedExpression(parent)) return isFloored(parent);
  return ts.isCallExpression(parent) && parent.expression.getText() === 'Math.floor';
}

/** An array with a hole ends at it in Lua. */
function checkElementValue(value: ts.Expression, checker: ts.TypeChecker, find: Find, array?: ts.Expression): void {
  const type = typeOf(value, checker);
  if (isAny(type, ts.TypeFlags.Undefined | ts.TypeFlags.Null)) {
    find(value, `${value.getText()} may be undefined: an array with a hole ends there in Lua`);
  }
  // An array that says that it holds booleans is no reply.
  const told =
    array === undefined ? undefined : checker.getIndexTypeOfType(typeOf(array, checker), ts.IndexKind.Number);
  if (told !== undefined && isAny(told, ts.TypeFlags.BooleanLike)) return;
  if (isAny(type, ts.TypeFlags.BooleanLike))
    find(value, 'a boolean in a reply: Redis makes nothing of false; say 1 or 0');
}

function checkCondition(node: ts.Node, checker: ts.TypeChecker, find: Find): void {
  for (const condition of conditionsOf(node)) {
    if (!isAll(typeOf(condition, checker), ts.TypeFlags.BooleanLike)) {
      find(
        condition,
        `${condition.getText()} is no boolean: compare with === undefined, === 0, === '' (0 and '' are true in Lua)`,
      );
    }
  }
}

function conditionsOf(node: ts.Node): ts.Expression[] {
  if (ts.isIfStatement(node)) return [node.expression];
  if (ts.isConditionalExpression(node)) return [node.condition];
  if (ts.isForStatement(node) && node.condition !== undefined) return [node.condition];
  if (ts.isPrefixUnaryExpression(node) && node.operator === K.ExclamationToken) return [node.operand];
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken;
    if (kind === K.AmpersandAmpersandToken || kind === K.BarBarToken) return [node.left, node.right];
  }
  return [];
}

function checkLoop(node: ts.Node, find: Find): void {
  if (!ts.isForStatement(node)) return;
  if (node.condition === undefined || node.incrementor === undefined) {
    find(node, 'a loop without a bound: for (let i = 0; i < bound; i++), the rest is left for the next call');
  }
}

/** `zadd` of `tx.zadd(…)`, where tx really is a Tx. */
function verbOf(node: ts.CallExpression, checker: ts.TypeChecker): string | undefined {
  const callee = node.expression;
  if (!ts.isPropertyAccessExpression(callee)) return undefined;
  return typeOf(callee.expression, checker).symbol?.name === 'Tx' ? callee.name.text : undefined;
}

function isType(node: ts.Node): boolean {
  if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true;
  return ts.isImportDeclaration(node) && node.importClause?.phaseModifier === K.TypeKeyword;
}

function isArray(type: ts.Type, checker: ts.TypeChecker): boolean {
  return parts(type).every((part) => checker.isArrayType(part) || checker.isTupleType(part));
}

function isAll(type: ts.Type, flags: ts.TypeFlags): boolean {
  return parts(type).every((part) => (part.flags & flags) !== 0);
}

function isAny(type: ts.Type, flags: ts.TypeFlags): boolean {
  return parts(type).some((part) => (part.flags & flags) !== 0);
}

function parts(type: ts.Type): readonly ts.Type[] {
  return type.isUnion() ? type.types : [type];
}

function typeOf(node: ts.Node, checker: ts.TypeChecker): ts.Type {
  return checker.getTypeAtLocation(node);
}
