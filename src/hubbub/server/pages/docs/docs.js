// A validator would be another server: it would be told this one's address.
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  validatorUrl: null,
  deepLinking: true,
});
