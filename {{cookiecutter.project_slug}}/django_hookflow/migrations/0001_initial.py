# Written by makemigrations.

import django.contrib.postgres.indexes
import django.db.models.deletion
import django_hookflow.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='WorkflowRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('run_id', models.CharField(max_length=255)),
                ('workflow_id', models.CharField(max_length=255)),
                ('version', models.PositiveIntegerField(default=1)),
                ('owner', models.CharField(blank=True, default='', max_length=255)),
                ('subject', models.CharField(blank=True, max_length=255, null=True)),
                ('root_id', models.CharField(max_length=255)),
                ('parent_step', models.CharField(blank=True, default='', max_length=255)),
                ('branch', models.PositiveIntegerField(default=0)),
                ('has_ticket', models.BooleanField(blank=True, null=True)),
                ('depth', models.PositiveSmallIntegerField(default=0)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('waiting', 'Waiting'), ('completed', 'Completed'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('compensating', 'Compensating'), ('compensated', 'Compensated'), ('paused', 'Paused')], default='pending', max_length=16)),
                ('data', django_hookflow.fields.JSONTextField()),
                ('result', django_hookflow.fields.JSONTextField(null=True)),
                ('error_type', models.CharField(blank=True, default='', max_length=255)),
                ('error_message', models.TextField(blank=True, default='')),
                ('error_step', models.CharField(blank=True, default='', max_length=255)),
                ('wake_token', models.CharField(max_length=32)),
                ('wake_at', models.DateTimeField(blank=True, null=True)),
                ('deadline_at', models.DateTimeField(blank=True, null=True)),
                ('lease_token', models.CharField(blank=True, default='', max_length=40)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('sweep_at', models.DateTimeField(blank=True, null=True)),
                ('requested', models.CharField(blank=True, choices=[('', 'Nothing'), ('pause', 'Pause'), ('cancel', 'Cancel')], default='', max_length=16)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('crashes', models.PositiveIntegerField(default=0)),
                ('deliveries', models.PositiveIntegerField(default=0)),
                ('messages', models.PositiveIntegerField(default=1)),
                ('attributes', models.JSONField(blank=True, default=dict)),
                ('trace', models.TextField(blank=True, default='')),
                ('created_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('completed_at', models.DateTimeField(blank=True, null=True)),
                ('origin', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='retries', to='django_hookflow.workflowrun')),
                ('parent', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='django_hookflow.workflowrun')),
            ],
            options={
                'ordering': ('-created_at', '-id'),
                'permissions': (('view_payloads', 'Can see the payloads of runs'),),
                'indexes': [models.Index(fields=['-created_at', '-id'], name='django_hook_created_526109_idx'), models.Index(fields=['workflow_id', 'status'], name='django_hook_workflo_892749_idx'), models.Index(fields=['status', 'completed_at'], name='django_hook_status_b094de_idx'), models.Index(fields=['owner', '-id'], name='hookflow_of_owner'), models.Index(condition=models.Q(('subject__isnull', False)), fields=['subject', '-id'], name='hookflow_of_subject'), models.Index(condition=models.Q(('sweep_at__isnull', False)), fields=['sweep_at'], name='hookflow_overdue'), models.Index(condition=models.Q(('origin__isnull', False)), fields=['origin'], name='hookflow_retried'), models.Index(condition=models.Q(('completed_at', None), ('has_ticket__isnull', False)), fields=['parent', 'parent_step', 'branch'], name='hookflow_open_branches'), django.contrib.postgres.indexes.GinIndex(condition=models.Q(('attributes', {}), _negated=True), fields=['attributes'], name='hookflow_attributes', opclasses=['jsonb_path_ops']), models.Index(condition=models.Q(models.Q(('wake_at', None), ('wake_at', models.F('deadline_at')), _connector='OR'), ('status', 'waiting')), fields=['claimed_at'], name='hookflow_timeless')],
                'constraints': [models.UniqueConstraint(fields=('run_id',), name='hookflow_one_run_per_id'), models.UniqueConstraint(condition=models.Q(('parent__isnull', False)), fields=('parent', 'parent_step', 'branch'), name='hookflow_one_run_per_branch')],
            },
        ),
        migrations.CreateModel(
            name='StepExecution',
            fields=[
                ('id', django_hookflow.fields.RowIdField(primary_key=True, serialize=False)),
                ('step_id', models.CharField(max_length=255)),
                ('kind', models.CharField(max_length=32)),
                ('status', models.CharField(choices=[('pending', 'Pending'), ('running', 'Running'), ('waiting', 'Waiting'), ('completed', 'Completed'), ('failed', 'Failed'), ('compensated', 'Compensated'), ('skipped', 'Skipped')], max_length=16)),
                ('position', models.PositiveIntegerField()),
                ('result', django_hookflow.fields.JSONTextField(null=True)),
                ('attempts', models.PositiveIntegerField(default=1)),
                ('deliveries', models.PositiveIntegerField(default=1)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('executed_at', models.DateTimeField(blank=True, null=True)),
                ('error_type', models.CharField(blank=True, db_default='', default='', max_length=255)),
                ('error_message', models.TextField(blank=True, db_default='', default='')),
                ('wake_at', models.DateTimeField(blank=True, null=True)),
                ('event_name', models.CharField(blank=True, db_default='', default='', max_length=255)),
                ('event_match', models.CharField(blank=True, db_default='', default='', max_length=255)),
                ('undo', models.CharField(blank=True, db_default='', default='', max_length=255)),
                ('workflow_run', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='step_executions', to='django_hookflow.workflowrun')),
            ],
            options={
                'ordering': ('position',),
                'indexes': [models.Index(condition=models.Q(('status', 'waiting'), models.Q(('event_name', ''), _negated=True)), fields=['event_name', 'event_match', 'id'], name='hookflow_waiting_for_event')],
                'constraints': [models.UniqueConstraint(fields=('workflow_run', 'step_id'), name='hookflow_one_entry_per_step')],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=255)),
                ('match', models.CharField(blank=True, default='', max_length=255)),
                ('data', django_hookflow.fields.JSONTextField(null=True)),
                ('event_id', models.CharField(max_length=255)),
                ('created_at', models.DateTimeField()),
                ('consumed_at', models.DateTimeField(blank=True, null=True)),
                ('consumed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='consumed_events', to='django_hookflow.workflowrun')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='django_hookflow.workflowrun')),
            ],
            options={
                'ordering': ('id',),
                'indexes': [models.Index(condition=models.Q(('consumed_at__isnull', True)), fields=['name', 'match'], name='hookflow_event_unconsumed'), models.Index(fields=['created_at'], name='django_hook_created_46c8c1_idx')],
                'constraints': [models.UniqueConstraint(fields=('name', 'event_id'), name='hookflow_event_once')],
            },
        ),
        migrations.CreateModel(
            name='DeadLetterEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('workflow_id', models.CharField(max_length=255)),
                ('run_id', models.CharField(max_length=255)),
                ('root_id', models.CharField(max_length=255)),
                ('error_type', models.CharField(max_length=255)),
                ('error_message', models.TextField()),
                ('is_replayed', models.BooleanField(default=False)),
                ('replayed_as', models.CharField(blank=True, default='', max_length=255)),
                ('created_at', models.DateTimeField()),
                ('replayed_at', models.DateTimeField(blank=True, null=True)),
                ('workflow_run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='dead_letters', to='django_hookflow.workflowrun')),
            ],
            options={
                'verbose_name_plural': 'dead letter entries',
                'ordering': ('-created_at',),
                'indexes': [models.Index(fields=['is_replayed', 'created_at'], name='django_hook_is_repl_ff47de_idx'), models.Index(fields=['run_id'], name='django_hook_run_id_8534d1_idx'), models.Index(fields=['root_id'], name='django_hook_root_id_365600_idx')],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('action', models.CharField(max_length=32)),
                ('by', models.CharField(blank=True, default='', max_length=255)),
                ('reason', models.TextField(blank=True, default='')),
                ('before', models.CharField(max_length=255)),
                ('after', models.CharField(max_length=255)),
                ('created_at', models.DateTimeField()),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='audit_entries', to='django_hookflow.workflowrun')),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ('-id',),
                'indexes': [models.Index(condition=models.Q(('action', 'hide')), fields=['run'], name='hookflow_hidden')],
            },
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('step_id', models.CharField(max_length=255)),
                ('status', models.CharField(choices=[('open', 'Open'), ('answered', 'Answered'), ('expired', 'Expired'), ('closed', 'Closed')], default='open', max_length=16)),
                ('title', models.CharField(max_length=255)),
                ('description', models.TextField(blank=True, default='')),
                ('form', models.CharField(blank=True, default='', max_length=255)),
                ('to_user', models.CharField(blank=True, default='', max_length=255)),
                ('to_group', models.CharField(blank=True, default='', max_length=255)),
                ('asked_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('remind_at', models.DateTimeField(blank=True, null=True)),
                ('plan', django_hookflow.fields.JSONTextField(default=list)),
                ('answer', django_hookflow.fields.JSONTextField(null=True)),
                ('answered_by', models.CharField(blank=True, default='', max_length=255)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
                ('via', models.CharField(blank=True, default='', max_length=255)),
                ('run', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='questions', to='django_hookflow.workflowrun')),
            ],
            options={
                'ordering': ('id',),
                'permissions': (('answer_any_question', 'Can answer any question'),),
                'constraints': [models.UniqueConstraint(fields=('run', 'step_id'), name='hookflow_one_question_per_step')],
                'indexes': [models.Index(fields=['to_user', 'status', 'due_at'], name='django_hook_to_user_d6cd36_idx'), models.Index(fields=['to_group', 'status', 'due_at'], name='django_hook_to_grou_8d7ece_idx'), models.Index(condition=models.Q(('remind_at__isnull', False)), fields=['remind_at'], name='hookflow_remind')],
            },
        ),
    ]
