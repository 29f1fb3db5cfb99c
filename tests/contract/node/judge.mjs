// Judges recorded exchanges with Microsoft's live validator.
//
//   node judge.mjs SPECIFICATIONS WORKDIR EXCHANGES VERDICTS     (both one JSON object a line)
//
// An exchange is {id, liveRequest, liveResponse}; a verdict {id, operation, version, request, response}
// with the errors of each side. The specifications are copied into WORKDIR with `modelAsString` off,
// because an enum that may hold anything is no check of what the emulator says.
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { LiveValidator } = require("oav");

const [source, work, exchanges, verdicts] = process.argv.slice(2).map((path) => resolve(path));
const inExamples = (path) => path.includes(`${sep}examples${sep}`) || path.endsWith(`${sep}examples`);

cpSync(source, work, { recursive: true, filter: (path) => !inExamples(path) });
for (const path of readdirSync(work, { recursive: true })) {
  const file = join(work, path);
  if (!statSync(file).isFile() || !file.endsWith(".json")) continue;
  const specification = JSON.parse(readFileSync(file, "utf8"), (key, value) =>
    key === "x-ms-examples" ? undefined : key === "modelAsString" ? false : value
  );
  writeFileSync(file, JSON.stringify(specification));
}

const swaggers = readdirSync(work, { recursive: true })
  .filter((path) => path.endsWith(".json") && /[\\/](stable|preview)[\\/]/.test(path))
  .filter((path) => JSON.parse(readFileSync(join(work, path), "utf8")).swagger === "2.0");
const validator = new LiveValidator({
  directory: work,
  swaggerPathsPattern: swaggers.map((path) => path.split(sep).join("/")),
  git: { shouldClone: false },
  isArmCall: true,
  loadValidatorInBackground: false,
  loadValidatorInInitialize: false,
});
await validator.initialize();

// Operations of Microsoft.Resources on a provider (`…/providers/{namespace}/register`) are filed by
// the library under no provider, but looked up under the one that the URL names.
const searcher = validator.operationSearcher;
const search = searcher.search.bind(searcher);
searcher.search = (info) => {
  try {
    return search(info);
  } catch (error) {
    try {
      return search({ ...info, providerNamespace: "microsoft.unknown" });
    } catch {
      throw error;
    }
  }
};

const issues = (side) =>
  (side.errors ?? []).map((error) => ({
    code: error.code,
    message: error.message,
    where: (error.pathsInPayload ?? []).join(" "),
    schema: error.source?.url ? `${error.source.url.split("/").slice(-2).join("/")}` : "",
  }));
const failure = (side) =>
  side.runtimeException ? [{ code: side.runtimeException.code, message: side.runtimeException.message }] : [];

const lines = [];
for (const line of readFileSync(exchanges, "utf8").split("\n").filter(Boolean)) {
  const { id, liveRequest, liveResponse } = JSON.parse(line);
  const verdict = await validator.validateLiveRequestResponse({ liveRequest, liveResponse });
  const request = verdict.requestValidationResult;
  const response = verdict.responseValidationResult;
  lines.push(
    JSON.stringify({
      id,
      operation: request.operationInfo?.operationId ?? "",
      version: request.operationInfo?.apiVersion ?? "",
      request: [...failure(verdict), ...failure(request), ...issues(request)],
      response: [...failure(response), ...issues(response)],
    })
  );
}
writeFileSync(verdicts, lines.join("\n"));
