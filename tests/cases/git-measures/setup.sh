set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=Tester GIT_AUTHOR_EMAIL=t@example.com GIT_COMMITTER_NAME=Tester GIT_COMMITTER_EMAIL=t@example.com
git -c init.defaultBranch=main init --quiet work
cd work
echo 1.2.3 > VERSION
git add VERSION
git commit --quiet -m first
git tag v1.2.3
git clone --quiet --bare . ../remote.git
git remote add origin ../remote.git
git fetch --quiet origin
cp -r . ../dirty
cd ../dirty
echo 2 > VERSION
git commit --quiet --allow-empty -m second
