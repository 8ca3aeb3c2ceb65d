// Railway, as infrastructure in code; docs/deployment/railway.md has the
// commands. (railway.json is no longer read from 1 December 2026 on.)
//
//     railway config plan --file deploy/railway.ts
//     railway config apply --file deploy/railway.ts
//
// preserve() keeps what "railway variable set" has stored: set it before.

import {
  defineRailway,
  postgres,
  preserve,
  project,
  service,
} from "railway/iac";

export default defineRailway(() => {
  const database = postgres("postgres");

  const web = service("web", {
    build: { builder: "DOCKERFILE", dockerfilePath: "Dockerfile" },
    start: "gunicorn config.wsgi",
    preDeploy: "python manage.py migrate --no-input",
    healthcheck: "/readyz",
    healthcheckTimeout: 120,
    deploy: {
      // gunicorn lets a delivery end its step for 25 seconds.
      drainingSeconds: 35,
      overlapSeconds: 10,
      restartPolicyType: "ALWAYS",
    },
    replicas: 1,
    env: {
      PORT: "8000",
      DJANGO_SETTINGS_MODULE: "config.settings.production",
      DJANGO_TRUSTED_PROXIES: "2",
      DATABASE_URL: database.env.DATABASE_URL,
      DJANGO_SECRET_KEY: preserve(),
      DJANGO_ALLOWED_HOSTS: preserve(),
      DJANGO_HOOKFLOW_DOMAIN: preserve(),
      DJANGO_EMAIL_URL: preserve(),
      // sample: begin
      PAYMENTS_URL: preserve(),
      PAYMENTS_API_KEY: preserve(),
      PAYMENTS_WEBHOOK_SECRET: preserve(),
      // sample: end
      QSTASH_URL: preserve(),
      QSTASH_TOKEN: preserve(),
      QSTASH_CURRENT_SIGNING_KEY: preserve(),
      QSTASH_NEXT_SIGNING_KEY: preserve(),
    },
  });

  return project("shop", { resources: [database, web] });
});
