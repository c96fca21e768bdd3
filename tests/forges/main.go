// Command forges does at a GitLab what a provider does, by a client that others wrote, and fails when anything is other than it
// should be: forges API TOKEN PROJECT. The client reads every answer into types of its own.
package main

import (
	"fmt"
	"net/http"
	"os"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

const (
	key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKQ7vZl0Ss0GBqcVBBxvVWhlkh/3J6KzPrFYj6ChiWvJ"
	sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("forges API TOKEN PROJECT")
	}
	client, err := gitlab.NewClient(args[1], gitlab.WithBaseURL(args[0]), gitlab.WithCustomRetryMax(0))
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		does func(*gitlab.Client, string) error
	}{{"keys", keys}, {"hooks", hooks}, {"statuses", statuses}, {"merge requests", merges}} {
		if err := part.does(client, args[2]); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

func keys(client *gitlab.Client, project string) error {
	add := func(title, key string) (*gitlab.ProjectDeployKey, error) {
		made, _, err := client.DeployKeys.AddDeployKey(project, &gitlab.AddDeployKeyOptions{
			Title: gitlab.Ptr(title), Key: gitlab.Ptr(key), CanPush: gitlab.Ptr(false),
		})
		return made, err
	}
	made, err := add("client", key)
	if err != nil {
		return err
	}
	if made.Title != "client" || made.CanPush || made.CreatedAt == nil {
		return fmt.Errorf("made %+v", made)
	}
	if _, err := add("again", key); err == nil {
		return fmt.Errorf("a key was taken twice")
	}
	for number := range 4 {
		if _, err := add(fmt.Sprint("page ", number), fmt.Sprint(key[:len(key)-2], number, "J")); err != nil {
			return err
		}
	}
	changed, _, err := client.DeployKeys.UpdateDeployKey(project, made.ID, &gitlab.UpdateDeployKeyOptions{
		Title: gitlab.Ptr("client"), CanPush: gitlab.Ptr(true),
	})
	if err != nil || !changed.CanPush {
		return fmt.Errorf("changed %+v: %w", changed, err)
	}
	options := &gitlab.ListProjectDeployKeysOptions{ListOptions: gitlab.ListOptions{PerPage: 2, Page: 1}}
	var all []*gitlab.ProjectDeployKey
	for {
		page, answer, err := client.DeployKeys.ListProjectDeployKeys(project, options)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if answer.NextPage == 0 {
			break
		}
		options.Page = answer.NextPage
	}
	if len(all) != 5 {
		return fmt.Errorf("%d keys are listed", len(all))
	}
	for _, one := range all {
		if _, err := client.DeployKeys.DeleteDeployKey(project, one.ID); err != nil {
			return err
		}
	}
	if answer, err := client.DeployKeys.DeleteDeployKey(project, made.ID); err == nil || answer.StatusCode != http.StatusNotFound {
		return fmt.Errorf("what is gone was removed again: %w", err)
	}
	return nil
}

func hooks(client *gitlab.Client, project string) error {
	url := gitlab.Ptr("https://reeve.example/hook/client")
	made, _, err := client.Projects.AddProjectHook(project, &gitlab.AddProjectHookOptions{
		URL: url, Token: gitlab.Ptr("t0ken-of-the-client"), PushEvents: gitlab.Ptr(true), EnableSSLVerification: gitlab.Ptr(true),
	})
	if err != nil {
		return err
	}
	if made.URL != *url || !made.PushEvents || made.TagPushEvents || made.AlertStatus != "executable" {
		return fmt.Errorf("made %+v", made)
	}
	changed, _, err := client.Projects.EditProjectHook(project, made.ID, &gitlab.EditProjectHookOptions{
		URL: url, TagPushEvents: gitlab.Ptr(true), PushEvents: gitlab.Ptr(false),
	})
	if err != nil || !changed.TagPushEvents || changed.PushEvents {
		return fmt.Errorf("changed %+v: %w", changed, err)
	}
	all, _, err := client.Projects.ListProjectHooks(project, &gitlab.ListProjectHooksOptions{})
	if err != nil || len(all) == 0 {
		return fmt.Errorf("%d are listed: %w", len(all), err)
	}
	_, err = client.Projects.DeleteProjectHook(project, made.ID)
	return err
}

func statuses(client *gitlab.Client, project string) error {
	set := func(state gitlab.BuildStateValue) (*gitlab.CommitStatus, error) {
		made, _, err := client.Commits.SetCommitStatus(project, sha, &gitlab.SetCommitStatusOptions{
			State: state, Name: gitlab.Ptr("client"), Description: gitlab.Ptr("of the client"),
		})
		return made, err
	}
	for _, state := range []gitlab.BuildStateValue{gitlab.Pending, gitlab.Success} {
		if made, err := set(state); err != nil || made.Status != string(state) || made.SHA != sha {
			return fmt.Errorf("made %+v: %w", made, err)
		}
	}
	if _, err := set(gitlab.Success); err == nil {
		return fmt.Errorf("a status was moved to the state it is in")
	}
	all, _, err := client.Commits.GetCommitStatuses(project, sha, &gitlab.GetCommitStatusesOptions{Name: gitlab.Ptr("client")})
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%d are listed: %w", len(all), err)
	}
	return nil
}

func merges(client *gitlab.Client, project string) error {
	options := &gitlab.CreateMergeRequestOptions{
		SourceBranch: gitlab.Ptr("client"), TargetBranch: gitlab.Ptr("main"), Title: gitlab.Ptr("Of the client"),
	}
	made, _, err := client.MergeRequests.CreateMergeRequest(project, options)
	if err != nil {
		return err
	}
	if _, answer, err := client.MergeRequests.CreateMergeRequest(project, options); err == nil || answer.StatusCode != http.StatusConflict {
		return fmt.Errorf("it was opened twice: %w", err)
	}
	open, _, err := client.MergeRequests.ListProjectMergeRequests(project, &gitlab.ListProjectMergeRequestsOptions{
		State: gitlab.Ptr("opened"), SourceBranch: gitlab.Ptr("client"),
	})
	if err != nil || len(open) != 1 || open[0].IID != made.IID {
		return fmt.Errorf("%d are open: %w", len(open), err)
	}
	changed, _, err := client.MergeRequests.UpdateMergeRequest(project, made.IID, &gitlab.UpdateMergeRequestOptions{
		Title: gitlab.Ptr("Of the client, again"), AddLabels: &gitlab.LabelOptions{"reeve"},
	})
	if err != nil || changed.Title != "Of the client, again" || len(changed.Labels) != 1 {
		return fmt.Errorf("changed %+v: %w", changed, err)
	}
	return nil
}
