// A file of its own, because the content security policy allows no inline script.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  // null: never send the document to the public validator.
  validatorUrl: null,
});
