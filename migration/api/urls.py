"""`/api/v2/…` of the migration."""

from django.urls import path

from migration.api import discrepancies, guarding, phases, sync, views

app_name = "migration"

urlpatterns = [
    path("health", views.HealthView.as_view(), name="health"),
    path("migration", views.StatusView.as_view(), name="status"),
    path("migration/advance", views.AdvanceView.as_view(), name="advance"),
    path("migration/votes", views.VotesView.as_view(), name="votes"),
    path("migration/rollbacks", views.RollbacksView.as_view(), name="rollbacks"),
    path("migration/watchdog", guarding.WatchdogView.as_view(), name="watchdog"),
    path("migration/watchdog/rules/<slug:name>", guarding.WatchRuleView.as_view(), name="watch-rule"),
    path("migration/watchdog/automation", guarding.AutomationView.as_view(), name="automation"),
    path("migration/rehearsals", guarding.RehearsalsView.as_view(), name="rehearsals"),
    path("migration/restores", guarding.RestoresView.as_view(), name="restores"),
    path("migration/latch/release", views.LatchReleaseView.as_view(), name="latch-release"),
    path("migration/shifts", views.ShiftsView.as_view(), name="shifts"),
    path("migration/shifts/<int:pk>", views.ShiftView.as_view(), name="shift"),
    path("migration/shifts/<int:pk>/cancel", views.ShiftCancelView.as_view(), name="shift-cancel"),
    path("migration/consistency", discrepancies.ConsistencyView.as_view(), name="consistency"),
    path("migration/discrepancies", discrepancies.DiscrepanciesView.as_view(), name="discrepancies"),
    path("migration/discrepancies/<int:pk>", discrepancies.DiscrepancyView.as_view(), name="discrepancy"),
    path("migration/discrepancies/<int:pk>/explanation", discrepancies.ExplanationView.as_view(), name="explanation"),
    path("migration/discrepancies/<int:pk>/reconciliations", discrepancies.ProposalView.as_view(), name="proposal"),
    path("migration/reconciliations/<int:pk>/review", discrepancies.ReviewView.as_view(), name="review"),
    path("migration/sync", sync.SyncView.as_view(), name="sync"),
    path("migration/sync/tuning", sync.SyncTuningView.as_view(), name="sync-tuning"),
    path("migration/sync/runs", sync.SyncRunsView.as_view(), name="sync-runs"),
    path("migration/sync/quarantine", sync.QuarantineView.as_view(), name="sync-quarantine"),
    path("migration/sync/matches", sync.MatchesView.as_view(), name="sync-matches"),
    path("migration/sync/gaps", sync.GapsView.as_view(), name="sync-gaps"),
    path("migration/dry-run", phases.DryRunView.as_view(), name="dry-run"),
    path("migration/phases/<slug:slug>/settings", phases.SettingsView.as_view(), name="phase-settings"),
    path("migration/pause", phases.PauseView.as_view(), name="pause"),
    path("migration/resume", phases.ResumeView.as_view(), name="resume"),
    path("migration/shorten", phases.ShortenView.as_view(), name="shorten"),
    path("migration/proposals/<int:pk>/cancel", phases.ProposalCancelView.as_view(), name="proposal-cancel"),
    path("migration/ramps", phases.RampsView.as_view(), name="ramps"),
    path("migration/ramps/begin", phases.RampBeginView.as_view(), name="ramp-begin"),
    path("migration/ramps/cancel", phases.RampCancelView.as_view(), name="ramp-cancel"),
    path("migration/ramps/complete", phases.RampCompleteView.as_view(), name="ramp-complete"),
    path("migration/pins", phases.PinsView.as_view(), name="pins"),
    path("migration/freezes", phases.FreezesView.as_view(), name="freezes"),
    path("migration/freezes/<int:pk>/lift", phases.FreezeLiftView.as_view(), name="freeze-lift"),
    path("migration/presence", phases.PresenceView.as_view(), name="presence"),
    path("migration/audit", views.AuditView.as_view(), name="audit"),
]
