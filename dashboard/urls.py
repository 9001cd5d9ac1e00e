"""The pages, their frames and their forms."""

from django.urls import path

from dashboard import teleop, views
from dashboard.api_docs import api_docs
from dashboard.migration import backups, checklist, contacts, discrepancies, phases, rollback, sync

app_name = "dashboard"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("fleet/", views.fleet, name="fleet"),
    path("teleop/", teleop.page, name="teleop"),
    path("teleop/stop-form/", teleop.stop_form, name="teleop-stop-form"),
    path("teleop/stops/", teleop.stops, name="teleop-stops"),
    path("robots/<path:robot_id>/", views.robot, name="robot"),
    path("frames/<path:view>/", views.frame, name="frame"),
    path("partials/<slug:region>/", views.personal_region, name="personal-region"),
    path("phase-advances/", views.phase_advances, name="phase-advances"),
    path("shifts/<int:shift_id>/cancellations/", views.shift_cancellations, name="shift-cancellations"),
    path("rollbacks/", views.rollbacks, name="rollbacks"),
    path("migration/", phases.phases, name="migration"),
    path("migration/dry-run/", phases.dry_run, name="dry-run"),
    path("migration/way/<slug:action>/", phases.act, name="way-action"),
    path(
        "migration/proposals/<int:proposal_id>/cancellations/",
        phases.proposal_cancellations,
        name="proposal-cancellations",
    ),
    path("migration/freezes/<int:window_id>/liftings/", phases.freeze_liftings, name="freeze-liftings"),
    path("migration/presences/", phases.presences, name="presences"),
    path("votes/", views.votes, name="votes"),
    path("latch-releases/", views.latch_releases, name="latch-releases"),
    path("migration/discrepancies/", discrepancies.discrepancies, name="discrepancies"),
    path("migration/discrepancies/<int:pk>/", discrepancies.discrepancy, name="discrepancy"),
    path("migration/discrepancies/<int:pk>/explanations/", discrepancies.explanations, name="discrepancy-explanations"),
    path(
        "migration/discrepancies/<int:pk>/reconciliations/",
        discrepancies.reconciliations,
        name="discrepancy-reconciliations",
    ),
    path(
        "migration/discrepancies/<int:pk>/reconciliations/<int:reconciliation>/reviews/",
        discrepancies.reviews,
        name="discrepancy-review",
    ),
    path("migration/sync/", sync.sync, name="sync"),
    path("migration/sync/figures/", sync.sync_figures, name="sync-figures"),
    path("migration/sync/runs/", sync.sync_runs, name="sync-runs"),
    path("migration/sync/tunings/", sync.sync_tunings, name="sync-tunings"),
    path("migration/sync/matches/", sync.sync_matches, name="sync-matches"),
    path("migration/rollback/", rollback.rollback, name="rollback"),
    path("migration/rollback/<int:pk>/", rollback.rollback, name="rollback-of"),
    path("migration/rollback/facts/", rollback.rollback_facts, name="rollback-facts"),
    path("migration/rollback/<int:pk>/facts/", rollback.rollback_facts, name="rollback-facts-of"),
    path("migration/rollback/rules/", rollback.rules, name="guard-rules"),
    path("migration/rollback/automation/", rollback.automation, name="guard-automation"),
    path("migration/rollback/rehearsals/", rollback.rehearsals, name="guard-rehearsals"),
    path("migration/rollback/restores/", rollback.restores, name="guard-restores"),
    path("migration/rollback/data-corruption/", rollback.corruption_rollbacks, name="guard-corruption"),
    path("migration/checklist/", checklist.checklist, name="checklist"),
    path("migration/checklist/points/", checklist.points, name="checklist-points"),
    path("migration/checklist/runs/", checklist.runs, name="check-runs"),
    path("migration/checklist/<slug:subject>/signature/", checklist.signatures, name="signature"),
    path("migration/checklist/<slug:subject>/withdrawal/", checklist.withdrawals, name="withdrawal"),
    path("migration/backups/", backups.backups, name="backups"),
    path("migration/backups/rows/", backups.rows, name="backup-rows"),
    path("migration/backups/make/", backups.make, name="backup-make"),
    path("migration/backups/<int:number>/verify/", backups.verify, name="backup-verify"),
    path("migration/contacts/", contacts.contacts, name="contacts"),
    path("migration/contacts/rows/", contacts.rows, name="contact-rows"),
    path("migration/contacts/<slug:what>/", contacts.enter, name="contact-enter"),
    path("migration/contacts/<slug:what>/<int:number>/remove/", contacts.remove, name="contact-remove"),
    path("api-docs/", api_docs, name="api-docs"),
]
